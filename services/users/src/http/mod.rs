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
        open(Route::post("/api/users/register", register::s0))
            .id("registerInCarClub")
            .summary("Registers a person, as the car club does"),
        open(Route::post("/users/register", register::s1))
            .id("registerInShop")
            .summary("Registers a person, as the shop does"),
        open(Route::post("/register", register::s2))
            .id("registerInMicroblog")
            .summary("Registers a person, as the microblog does; a name or an address that is taken is a 400"),
        open(Route::post("/api/auth/register", register::s3))
            .id("registerInMovieClub")
            .summary("Registers a person, as the movie club does"),
        open(Route::post("/auth/register", register::s4))
            .id("registerInMarket")
            .summary("Registers a person, as the market does"),
        Route::delete_with("/auth/delete", deletion::delete)
            .auth(Auth::Optional)
            .answers(StatusCode::NO_CONTENT)
            .fails(&[Code::Unauthenticated, Code::Forbidden])
            .objective(Objective::PASSWORD)
            .id("deleteAccount")
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
        open(Route::post("/api/users/login", login::s0))
            .id("logInToCarClub")
            .summary("Logs in, as the car club does"),
        open(Route::post("/users/login", login::s1))
            .id("logInToShop")
            .summary("Logs in, as the shop does"),
        open(Route::post_form("/login", login::s2))
            .query("username", "Instead of a body; never logged")
            .query("password", "Instead of a body; never logged")
            .id("logInToMicroblog")
            .summary("Logs in, as the microblog does, by JSON, a form or the query"),
        open(Route::post("/api/auth/login", login::s3))
            .id("logInToMovieClub")
            .summary("Logs in, as the movie club does"),
        open(Route::post("/auth/login", login::s4))
            .id("logInToMarket")
            .summary("Logs in, as the market does"),
        open(Route::post("/auth/signin", login::s4))
            .id("signInToMarket")
            .summary("Logs in, as the market does, under its other name"),
        Route::without_body(Method::POST, "/api/auth/logout", login::logout)
            .auth(Auth::Required)
            .id("logOut")
            .summary("Ends the token, everywhere"),
        Route::get("/auth/validate", login::validate)
            .auth(Auth::Required)
            .id("validateToken")
            .summary("Says whose token this is"),
        Route::post("/auth/validate", login::validate_token)
            .auth(Auth::None)
            .answers(StatusCode::OK)
            .fails(&[Code::Unauthenticated])
            .id("validateSentToken")
            .summary("Says whose token the one in the body is"),
        Route::get("/.well-known/jwks.json", login::jwks)
            .id("getSigningKeys")
            .summary("The keys that tokens are signed with, as RFC 7517 has them"),
        Route::get("/api/auth/status", profile::status)
            .id("getUsersStatus")
            .or::<profile::StatusResponse>(StatusCode::INTERNAL_SERVER_ERROR)
            .summary("Whether the database of accounts answers"),
    ]
}

fn profiles() -> Vec<Route<Users>> {
    vec![
        Route::get("/api/users/me", profile::me)
            .auth(Auth::Required)
            .id("getOwnProfile")
            .summary("One's own profile"),
        Route::put("/api/users/me", profile::update)
            .id("updateOwnProfile")
            .summary("Changes one's own profile"),
        Route::get("/api/users/{user_id:int}", profile::by_id)
            .auth(Auth::Optional)
            .id("getProfile")
            .summary("A profile by number"),
        Route::get("/users/{username}", profile::by_username)
            .auth(Auth::Optional)
            .id("getMicroblogProfile")
            .summary("A profile by name"),
    ]
}

fn social() -> Vec<Route<Users>> {
    vec![
        Route::without_body(Method::POST, "/users/follow/{username}", follows::follow)
            .auth(Auth::Required)
            .fails(&[Code::Malformed])
            .id("followUser")
            .summary("Follows a person"),
        Route::without_body(
            Method::POST,
            "/users/unfollow/{username}",
            follows::unfollow,
        )
        .auth(Auth::Required)
        .id("unfollowUser")
        .summary("Follows a person no more"),
        Route::get("/users/{username}/followees", follows::followees)
            .paged_by(PEOPLE)
            .id("listFollowees")
            .summary("Whom a person follows"),
        Route::get("/users/{username}/followers", follows::followers)
            .paged_by(PEOPLE)
            .id("listFollowers")
            .summary("Who follows a person"),
    ]
}
