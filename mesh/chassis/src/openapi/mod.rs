//! The OpenAPI 3.1 document of a service, from its route table.

mod example;
mod responses;
mod words;

use serde_json::{Map, Value, json};

use self::{example::Examples, responses::responses};
use crate::{
    Auth, Route,
    query::Described,
    route::{PUBLIC, Segment},
};

/// The schemas of a document by name.
type Schemas = Map<String, Value>;

/// The document of the service `name`; `routes` is all it is made from.
pub fn document<S>(name: &str, description: &str, routes: &[Route<S>]) -> Value {
    let shown = |route: &&Route<S>| route.listener == PUBLIC && route.documented;
    let routes: Vec<_> = routes.iter().filter(shown).collect();
    let mut schemas = Schemas::new();
    schemas.insert("Problem".into(), responses::problem_schema());
    for route in &routes {
        keep(&mut schemas, route);
    }
    let mut paths = Map::new();
    for route in &routes {
        let path = paths
            .entry(route.documented_path())
            .or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation(name, route, &schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("Plaza {name}"),
            "description": description,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "contact": { "name": "Those who run this Plaza" },
        },
        "servers": [{ "url": "/" }],
        "tags": [{ "name": name, "description": description }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": responses::headers(&routes),
            "responses": responses::problems(&routes),
            "securitySchemes": { "bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "A token that a login gives out, in `Authorization: Bearer …`.",
            } },
        },
    })
}

/// Keeps the schemas of a route. Two things of one name are told apart, for a check to find.
fn keep<S>(schemas: &mut Schemas, route: &Route<S>) {
    let parameters = route.query.iter().chain(&route.places);
    let others = route.others.iter().map(|(_, schema)| schema);
    let of_route = route.body.iter().chain([&route.reply]).chain(others);
    let all = of_route.chain(parameters.map(|one| &one.schema));
    for (name, schema) in all.flat_map(|schema| &schema.components) {
        match schemas.get(name) {
            Some(known) if known != schema => {
                schemas.insert(format!("{name}.twice"), schema.clone())
            }
            _ => schemas.insert(name.clone(), schema.clone()),
        };
    }
}

impl<S> Route<S> {
    /// The path as the document has it. Paths are found with and without a slash behind; the
    /// document has them without, as its linters want it.
    fn documented_path(&self) -> String {
        let template = self.public_template();
        let path = template.trim_end_matches('/');
        if path.is_empty() { "/" } else { path }.to_owned()
    }

    /// The name of the operation; of one that has none yet, its method and path.
    fn operation_id(&self) -> String {
        if !self.id.is_empty() {
            return self.id.to_owned();
        }
        let path = self.public_template().replace(['{', '}'], "");
        let path = path.replace(['/', '.', '-'], "_");
        let method = self.method.as_str().to_lowercase();
        format!("{method}{}", path.trim_end_matches('_'))
    }
}

fn operation<S>(name: &str, route: &Route<S>, schemas: &Schemas) -> Value {
    let mut operation = json!({
        "operationId": route.operation_id(),
        "summary": route.summary,
        "description": description(route),
        "tags": [name],
        "parameters": parameters(route),
        "responses": responses(route, schemas),
    });
    match route.auth {
        Auth::None => operation["security"] = json!([]),
        Auth::Optional => operation["security"] = json!([{}, { "bearer": [] }]),
        Auth::Required => operation["security"] = json!([{ "bearer": [] }]),
    }
    if let Some(body) = &route.body {
        let example = Examples(schemas).of(&body.schema);
        let mut content = json!({
            "application/json": { "schema": body.schema, "example": example },
        });
        if route.form_or_query {
            for form in ["application/x-www-form-urlencoded", "multipart/form-data"] {
                content[form] = json!({ "schema": body.schema });
            }
        }
        operation["requestBody"] = json!({ "required": !route.optional_body, "content": content });
    }
    operation
}

/// What follows from a route's shape, in words for its users.
fn description<S>(route: &Route<S>) -> String {
    let who = match route.auth {
        Auth::Required => "It needs a Bearer token.",
        Auth::Optional => "It needs no token; one that is sent must be good.",
        Auth::None => "It needs no token.",
    };
    let summary = format!("{}.", route.summary.trim_end_matches('.'));
    let sentences = [
        (true, summary.as_str()),
        (!route.about.is_empty(), route.about),
        (
            route.is_socket(),
            "It is a WebSocket: who does not ask for one is answered 426.",
        ),
        (true, who),
        (
            route.paged,
            "A list ends with its last page; until then the header `Link` says where the next one is.",
        ),
        (
            route.idempotent,
            "A repetition with the same `Idempotency-Key` is answered as the first request, and has its effect once.",
        ),
        (
            route.form_or_query,
            "Its fields may come as JSON, as a form or in the query.",
        ),
        (
            route.tagged,
            "Who sends the `ETag` of an answer back in `If-None-Match` is told when it still holds.",
        ),
    ];
    let said = sentences.iter().filter(|(holds, _)| *holds);
    said.map(|(_, sentence)| *sentence)
        .collect::<Vec<_>>()
        .join(" ")
}

fn parameters<S>(route: &Route<S>) -> Vec<Value> {
    let place = |name: &str, plain: Value| {
        let known = route.places.iter().find(|place| place.name == name);
        let (about, schema) = match known {
            Some(place) => (place.about.clone(), place.schema.schema.clone()),
            None => (format!("The {}", name.replace('_', " ")), plain),
        };
        json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema })
    };
    let of_path = route.segments.iter().filter_map(|segment| match segment {
        Segment::Literal(_) => None,
        Segment::Text(name) => Some(place(name, json!({ "type": "string", "minLength": 1 }))),
        Segment::Integer(name) => Some(place(
            name,
            json!({ "type": "integer", "format": "int64", "minimum": 0 }),
        )),
    });
    let of_query = route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query",
            "description": parameter.about, "schema": parameter.schema.schema,
        })
    });
    let of_header = of_header(route).into_iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "header",
            "description": parameter.about, "schema": parameter.schema.schema,
        })
    });
    of_path.chain(of_query).chain(of_header).collect()
}

fn of_header<S>(route: &Route<S>) -> Vec<Described> {
    let mut found = Vec::new();
    if route.idempotent {
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\t -~]*[!-~][\\t -~]*$" });
        let about = "A text of the client's choice: a repetition with the same one is answered as the first, and done once";
        found.push(Described::new("Idempotency-Key", about, schema));
    }
    if route.tagged {
        let about = "The `ETag` of an answer that the client has";
        let schema = json!({ "type": "string" });
        found.push(Described::new("If-None-Match", about, schema));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::{Deserialize, Serialize};
    use utoipa::ToSchema;

    use super::*;
    use crate::{Answer, Code, Error, Request};

    #[derive(Default, Serialize, Deserialize, ToSchema)]
    #[schema(title = "Car")]
    struct CarResponse {
        name: String,
    }

    async fn show(_: Arc<()>, _: Request) -> Result<Answer<CarResponse>, Error> {
        Ok(CarResponse::default().into())
    }

    async fn list(_: Arc<()>, _: Request) -> Result<Answer<Vec<CarResponse>>, Error> {
        Ok(Vec::new().into())
    }

    async fn change(
        _: Arc<()>,
        _: Request,
        car: CarResponse,
    ) -> Result<Answer<CarResponse>, Error> {
        Ok(car.into())
    }

    fn cars() -> Value {
        let unavailable = http::StatusCode::SERVICE_UNAVAILABLE;
        let routes = [
            Route::get("/cars/", list).id("listCars").paged().tagged(),
            Route::get("/cars/{id}", show)
                .uuid("id", "The car")
                .or::<CarResponse>(unavailable),
            Route::post("/cars/", change)
                .located()
                .fails(&[Code::Conflict]),
            Route::post_or_nothing("/cars/{id}", change),
        ];
        document("cars", "Cars.", &routes)
    }

    #[test]
    fn a_thing_is_one_schema_in_lists_bodies_and_answers() {
        let cars = cars();
        let car = json!({ "$ref": "#/components/schemas/Car" });
        let schema = |of: &Value| of["content"]["application/json"]["schema"].clone();
        let (all, one) = (&cars["paths"]["/cars"], &cars["paths"]["/cars/{id}"]);
        assert_eq!(schema(&all["get"]["responses"]["200"])["items"], car);
        assert_eq!(schema(&one["get"]["responses"]["200"]), car);
        assert_eq!(schema(&all["post"]["requestBody"]), car);
        assert_eq!(schema(&one["get"]["responses"]["503"]), car);
    }

    #[test]
    fn a_body_is_required_where_it_may_not_be_left_out() {
        let cars = cars();
        let required = |path: &str| cars["paths"][path]["post"]["requestBody"]["required"].clone();
        assert_eq!(
            (required("/cars"), required("/cars/{id}")),
            (json!(true), json!(false))
        );
    }

    #[test]
    fn every_status_has_its_headers_and_an_example() {
        let cars = cars();
        let all = &cars["paths"]["/cars"];
        for (answer, header) in [
            (&all["get"]["responses"]["200"], "Link"),
            (&all["get"]["responses"]["304"], "ETag"),
            (&all["post"]["responses"]["201"], "Location"),
            (&all["post"]["responses"]["401"], "WWW-Authenticate"),
            (&all["post"]["responses"]["429"], "Retry-After"),
            (&all["post"]["responses"]["409"], "X-Request-Id"),
        ] {
            let place = answer["$ref"].as_str();
            let answer = place.map_or(answer, |place| cars.pointer(&place[1..]).unwrap());
            let shared = answer["headers"][header]["$ref"].as_str().unwrap();
            assert!(cars.pointer(&shared[1..]).is_some(), "{header}");
            for content in answer["content"].as_object().into_iter().flatten() {
                assert!(!content.1["example"].is_null(), "{answer}");
            }
        }
    }

    #[test]
    fn an_operation_has_the_name_that_its_route_says() {
        let cars = cars();
        let (named, unnamed) = (
            &cars["paths"]["/cars"]["get"],
            &cars["paths"]["/cars"]["post"],
        );
        assert_eq!(named["operationId"], "listCars");
        // One that has none yet is easy to find: a check wants names of letters alone.
        assert_eq!(unnamed["operationId"], "post_cars");
    }
}
