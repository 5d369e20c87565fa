use super::*;

fn route(template: &'static str) -> Route<()> {
    Route::get(template, |_, _| async { Ok(Answer::from(String::new())) })
}

#[test]
fn x05_a_user_id_is_a_number_or_no_user() {
    let route = route("/api/users/{user_id:int}");
    assert!(route.matches("/api/users/17") && route.matches("/api/users/17/"));
    for path in [
        "/api/users/me",
        "/api/users/-1",
        "/api/users/99999999999999999999",
        "/api/users",
        "/api/users/1/2",
    ] {
        assert!(!route.matches(path), "{path}");
    }
    assert_eq!(route.public_template(), "/api/users/{user_id}");
}

#[test]
fn a_route_that_refuses_words_takes_them_and_its_ingress_lets_them_through() {
    let route = route("/posts/id/{post_id:int}").refuses_words();
    for path in ["/posts/id/17", "/posts/id/x", "/posts/id/-1"] {
        assert!(route.matches(path), "{path}");
    }
    assert!(!route.matches("/posts/id") && !route.matches("/posts/id/1/2"));
    assert_eq!(route.info().params["post_id"], "string");
    for text in ["7", "-7", "007", "99999999999999999999"] {
        assert!(is_whole_number(text), "{text}");
    }
    for text in ["", "-", "x", "1.5", "+7", "1e3", "٣"] {
        assert!(!is_whole_number(text), "{text}");
    }
}

#[test]
fn s2_69_only_public_routes_are_in_the_document() {
    let routes = [
        route("/registry/services"),
        route("/services").listener("registry"),
    ];
    assert_eq!(routes[1].info().listener, "registry");
    let document = crate::openapi::document("registry", "", &routes);
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/registry/services"]);
}

#[test]
fn literals_come_before_parameters() {
    let mut routes = [route("/api/movies/{id}"), route("/api/movies/popular")];
    routes.sort_by_key(Route::rank);
    assert_eq!(routes[0].template, "/api/movies/popular");
}
