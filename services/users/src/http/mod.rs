//! The route table of `users`: every door of every source (D1 to D6, D11, D24).

mod deletion;
mod follows;
mod login;
mod profile;
mod register;

use chassis::{Auth, Code, Objective, Paging, Route};
use http::{Method, StatusCode};

use crate::Users;

/// What lists of people may be asked for. The microblog's clients expect all of them at once.
const PEOPLE: Paging = Paging::by_offset(1_000, 1_000);

pub(crate) fn routes() -> Vec<Route<Users>> {
    [registration(), sessions(), profiles(), social()]
        .into_iter()
        .flatten()
        .collect()
}

fn registration() -> Vec<Route<Users>> {
    let open = |route: Route<Users>| {
        route
            .auth(Auth::None)
            .fails(&[Code::Conflict])
            .objective(Objective::PASSWORD)
    };
    vec![
        open(Route::post("/api/users/register", register::s0)).summary("Registers a person (S0)"),
        open(Route::post("/users/register", register::s1)).summary("Registers a person (S1)"),
        open(Route::post("/register", register::s2))
            .summary("Registers a person (S2); a name or an address that is taken is a 400"),
        open(Route::post("/api/auth/register", register::s3)).summary("Registers a person (S3)"),
        open(Route::post("/auth/register", register::s4)).summary("Registers a person (S4)"),
        Route::delete_with("/auth/delete", deletion::delete)
            .auth(Auth::Optional)
            .answers(StatusCode::NO_CONTENT)
            .fails(&[Code::Unauthenticated, Code::Forbidden])
            .objective(Objective::PASSWORD)
            .summary("Deletes the account with this password, everywhere"),
    ]
}

fn sessions() -> Vec<Route<Users>> {
    let open = |route: Route<Users>| {
        route
            .auth(Auth::None)
            .answers(StatusCode::OK)
            .fails(&[Code::Unauthenticated])
            .objective(Objective::PASSWORD)
    };
    vec![
        open(Route::post("/api/users/login", login::s0)).summary("Logs in (S0)"),
        open(Route::post("/users/login", login::s1)).summary("Logs in (S1)"),
        open(Route::post_form("/login", login::s2))
            .query("username", "Instead of a body; never logged")
            .query("password", "Instead of a body; never logged")
            .summary("Logs in (S2); JSON, form or query"),
        open(Route::post("/api/auth/login", login::s3)).summary("Logs in (S3)"),
        open(Route::post("/auth/login", login::s4)).summary("Logs in (S4)"),
        open(Route::post("/auth/signin", login::s4))
            .summary("Logs in (S4), under its source's name"),
        Route::without_body(Method::POST, "/api/auth/logout", login::logout)
            .auth(Auth::Required)
            .summary("Ends the token, everywhere"),
        Route::get("/auth/validate", login::validate)
            .auth(Auth::Required)
            .summary("Says whose token this is"),
        Route::post("/auth/validate", login::validate_token)
            .auth(Auth::None)
            .answers(StatusCode::OK)
            .fails(&[Code::Unauthenticated])
            .summary("Says whose token the one in the body is"),
        Route::get("/.well-known/jwks.json", login::jwks)
            .summary("The keys that tokens are signed with (RFC 7517)"),
        Route::get("/api/auth/status", profile::status).summary("Whether the database answers"),
    ]
}

fn profiles() -> Vec<Route<Users>> {
    vec![
        Route::get("/api/users/me", profile::me)
            .auth(Auth::Required)
            .summary("One's own profile"),
        Route::put("/api/users/me", profile::update).summary("Changes one's own profile"),
        Route::get("/api/users/{user_id:int}", profile::by_id)
            .auth(Auth::Optional)
            .summary("A profile by number"),
        Route::get("/users/{username}", profile::by_username)
            .auth(Auth::Optional)
            .summary("A profile by name"),
    ]
}

fn social() -> Vec<Route<Users>> {
    vec![
        Route::without_body(Method::POST, "/users/follow/{username}", follows::follow)
            .auth(Auth::Required)
            .fails(&[Code::Malformed])
            .summary("Follows a person"),
        Route::without_body(
            Method::POST,
            "/users/unfollow/{username}",
            follows::unfollow,
        )
        .auth(Auth::Required)
        .summary("Follows a person no more"),
        Route::get("/users/{username}/followees", follows::followees)
            .paged_by(PEOPLE)
            .summary("Whom a person follows"),
        Route::get("/users/{username}/followers", follows::followers)
            .paged_by(PEOPLE)
            .summary("Who follows a person"),
    ]
}
