//! From the route table to one Warp filter.

use std::{pin::pin, str::FromStr, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, Method, header};
use hyper::upgrade::OnUpgrade;
use percent_encoding::percent_decode_str;
use warp::{Filter, Reply as _, filters::BoxedFilter, path::FullPath, reply::Response};

use crate::{
    Auth, Code, Error, Request, Route, Service, Tokens, answer, body, docs,
    route::{Segment, is_whole_number},
    socket::{self, Sockets, Upgrade},
};

/// The route that answered, for labels and span names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answerer {
    pub(crate) template: &'static str,
    /// The name of its operation.
    pub(crate) operation: &'static str,
}

/// A service's state, its routes and what verifies its callers' tokens.
#[derive(Debug)]
pub(crate) struct Rest<S> {
    pub(crate) state: Arc<S>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) routes: Vec<Arc<Route<S>>>,
    /// The longest that a request body may take to arrive.
    pub(crate) body_deadline: Duration,
    pub(crate) sockets: Arc<Sockets>,
}

/// What every route needs of a request, beside its path.
type Parts = (FullPath, HeaderMap, String, Option<OnUpgrade>);

impl<S: Service> Rest<S> {
    /// The filter: routes with literals first, and last one that says why nothing matched.
    pub(crate) fn filter(mut self) -> BoxedFilter<(Response,)> {
        let docs = docs::of_service(&self.routes);
        self.routes.extend(docs.into_iter().map(Arc::new));
        self.routes
            .sort_by_key(|route| (route.rank(), !route.is_socket()));
        let rest = Arc::new(self);
        let fallback = {
            let rest = Arc::clone(&rest);
            let request = parts().and(warp::body::stream());
            request.then(move |(path, headers, ..): Parts, body| {
                let rest = Arc::clone(&rest);
                async move {
                    body::discard(&headers, pin!(body)).await;
                    rest.unmatched(path.as_str())
                }
            })
        };
        rest.routes
            .iter()
            .rev()
            .fold(fallback.boxed(), |others, route| {
                let matched = route_filter(Arc::clone(&rest), Arc::clone(route));
                matched.or(others).unify().boxed()
            })
    }

    /// 405 with `Allow` for a path that exists, else 404. A literal is no value of a parameter: names that routes have are nobody's.
    fn unmatched(&self, path: &str) -> Response {
        let matching = self.routes.iter().filter(|route| route.matches(path));
        let matching: Vec<_> = matching.collect();
        let closest = matching.iter().map(|route| route.literals()).max();
        let mut methods: Vec<&str> = matching
            .iter()
            .filter(|route| Some(route.literals()) == closest)
            .map(|route| route.method.as_str())
            .collect();
        if methods.is_empty() {
            return reply(Error::not_found("There is nothing at this address").into_response());
        }
        methods.sort_unstable();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.dedup();
        let message = format!(
            "This method is not possible here; {} is",
            methods.join(", ")
        );
        let error = Error::new(Code::MethodNotAllowed, message);
        let allow =
            HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static("GET"));
        reply(error.with(header::ALLOW, allow).into_response())
    }

    /// Whether a socket has a page at its address: only who asks for a socket gets it then (D15).
    fn is_beside_a_page(&self, route: &Route<S>) -> bool {
        let mut pages = self.routes.iter().filter(|other| !other.is_socket());
        route.is_socket()
            && pages.any(|page| page.method == route.method && page.segments == route.segments)
    }

    async fn answer(
        &self,
        route: &Route<S>,
        values: Vec<String>,
        (path, headers, query, upgrade): Parts,
        body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
    ) -> Response {
        let request = Request {
            path: path.as_str().to_owned(),
            params: params(route, &values),
            query,
            declared: route.query.iter().map(|one| one.name).collect(),
            paging: route.paging,
            headers,
            body: Bytes::new(),
            identity: None,
            operation: None,
            upgrade: upgrade.map(|upgrade| Upgrade::new(upgrade, &self.sockets)),
        };
        let headers = request.headers.clone();
        let mut body = pin!(body);
        let result = self.run(route, request, body.as_mut()).await;
        body::discard(&headers, body).await;
        let mut response = reply(result.unwrap_or_else(Error::into_response));
        if route.guards_origin {
            let origins = &self.sockets.origins;
            origins.share(&headers, response.headers_mut());
        }
        response.extensions_mut().insert(Answerer {
            template: route.template,
            operation: route.id,
        });
        response
    }

    async fn run(
        &self,
        route: &Route<S>,
        mut request: Request,
        body: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    ) -> Result<http::Response<Bytes>, Error> {
        // Else every part of it that is none would be read as the same sign.
        if percent_decode_str(&request.query).decode_utf8().is_err() {
            return Err(Error::malformed("The query is not valid UTF-8"));
        }
        // Who is asking comes before what is asked: a body without a token is not even read.
        request.identity = if route.is_socket() {
            self.sockets.admit(&request)?;
            socket::identify(&self.tokens, &request)?
        } else {
            if route.guards_origin {
                self.sockets.origins.admit(&request.headers)?;
            }
            if route.auth == Auth::None && route.method == Method::GET {
                self.tokens.refuse_bad(&request.headers)?;
            }
            self.tokens.identify(route.auth, &request.headers)?
        };
        refuse_words(route, &request)?;
        if route.body.is_some() {
            request.body =
                body::receive(&request.headers, body, route.body_limit, self.body_deadline).await?;
        }
        let known = request.headers.get(header::IF_NONE_MATCH).cloned();
        (route.endpoint)(Arc::clone(&self.state), request)
            .await
            .map(|response| answer::unless_known(known.as_ref(), response))
            .map(|mut response| {
                if route.auth != Auth::None {
                    response
                        .headers_mut()
                        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                }
                response
            })
    }
}

fn route_filter<S: Service>(rest: Arc<Rest<S>>, route: Arc<Route<S>>) -> BoxedFilter<(Response,)> {
    let start = warp::any().map(Vec::<String>::new).boxed();
    let path = route
        .segments
        .iter()
        .fold(start, |path, segment| match *segment {
            Segment::Literal(literal) => path.and(warp::path(literal)).boxed(),
            Segment::Text(_) => path.and(warp::path::param::<String>()).map(push).boxed(),
            Segment::Integer(_) if route.refuses_words => {
                path.and(warp::path::param::<String>()).map(push).boxed()
            }
            Segment::Integer(_) => path
                .and(warp::path::param::<Natural>())
                .map(|path, number: Natural| push(path, number.0.to_string()))
                .boxed(),
        });
    let asked = if rest.is_beside_a_page(&route) {
        warp::header::exact_ignore_case("upgrade", "websocket").boxed()
    } else {
        warp::any().boxed()
    };
    path.and(warp::path::end())
        .and(method(&route.method))
        .and(asked)
        .and(parts())
        .and(warp::body::stream())
        .then(move |values, parts, body| {
            let (rest, route) = (Arc::clone(&rest), Arc::clone(&route));
            async move { rest.answer(&route, values, parts, body).await }
        })
        .boxed()
}

/// What `{x:int}` takes: the same as [`Route::matches`], so that other numbers are nowhere.
struct Natural(i64);

impl FromStr for Natural {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = text.parse().map_err(drop)?;
        (number >= 0).then_some(Self(number)).ok_or(())
    }
}

fn push(mut values: Vec<String>, value: String) -> Vec<String> {
    values.push(value);
    values
}

fn method(method: &Method) -> BoxedFilter<()> {
    match *method {
        Method::GET => warp::get().boxed(),
        Method::POST => warp::post().boxed(),
        Method::PUT => warp::put().boxed(),
        Method::PATCH => warp::patch().boxed(),
        _ => warp::delete().boxed(),
    }
}

fn parts() -> impl Filter<Extract = (Parts,), Error = std::convert::Infallible> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::path::full()
        .and(warp::header::headers_cloned())
        .and(query)
        .and(warp::ext::optional::<OnUpgrade>())
        .map(|path, headers, query, upgrade| (path, headers, query, upgrade))
}

fn params<S>(route: &Route<S>, values: &[String]) -> Vec<(&'static str, String)> {
    let names = route.segments.iter().filter_map(|segment| match segment {
        Segment::Literal(_) => None,
        Segment::Text(name) | Segment::Integer(name) => Some(*name),
    });
    names
        .zip(
            values
                .iter()
                .map(|value| percent_decode_str(value).decode_utf8_lossy().into_owned()),
        )
        .collect()
}

/// Refuses a word in the place of a number, where the route does.
fn refuse_words<S>(route: &Route<S>, request: &Request) -> Result<(), Error> {
    if !route.refuses_words {
        return Ok(());
    }
    for segment in &route.segments {
        if let Segment::Integer(name) = segment
            && !is_whole_number(&request.param::<String>(name)?)
        {
            return Err(Error::unacceptable(format!(
                "`{name}` must be a whole number"
            )));
        }
    }
    Ok(())
}

fn reply(response: http::Response<Bytes>) -> Response {
    response.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_number_is_no_parameter() {
        let number = |text: &str| text.parse::<Natural>().ok().map(|number| number.0);
        assert_eq!((number("0"), number("42")), (Some(0), Some(42)));
        assert_eq!((number("-1"), number("x")), (None, None));
        assert_eq!(number("9223372036854775808"), None);
    }
}
