//! The REST face of the microblog.

mod jobs;
mod posts;

use chassis::{Auth, Code, Error, Paging, Route};
use http::StatusCode;

use crate::Timelines;

/// What lists of posts may be asked for.
const POSTS: Paging = Paging::by_offset(50, 200);

type Answered<T> = Result<chassis::Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Timelines>> {
    let mut routes = writing();
    routes.extend(reading());
    routes
}

fn writing() -> Vec<Route<Timelines>> {
    vec![
        Route::post("/posts", posts::create)
            .idempotent()
            .id("createPost")
            .summary("Writes a post")
            .fails(&[Code::Forbidden]),
        Route::post("/posts/async", jobs::create)
            .answers(StatusCode::ACCEPTED)
            .idempotent()
            .id("queuePost")
            .summary("Has a post written behind")
            .fails(&[Code::Forbidden]),
        Route::get("/posts/jobs/{job_id}", jobs::show)
            .auth(Auth::Required)
            .id("getPostJob")
            .uuid("job_id", "What queuing the post answered")
            .summary("Tells the fate of a post that is written behind")
            .fails(&[Code::Forbidden]),
        Route::delete("/posts/id/{post_id:int}", posts::remove)
            .refuses_words()
            .id("deletePost")
            .summary("Deletes an own post")
            .fails(&[Code::Forbidden]),
    ]
}

fn reading() -> Vec<Route<Timelines>> {
    vec![
        Route::get("/posts", posts::list)
            .id("listPosts")
            .summary("Lists all posts, newest first")
            .paged_by(POSTS),
        Route::get("/posts/id/{post_id:int}", posts::show)
            .refuses_words()
            .id("getPost")
            .summary("Shows a post"),
        Route::get("/posts/{username}", posts::list_of_user)
            .id("listPostsOfUser")
            .summary("Lists the posts of a person, newest first")
            .paged_by(POSTS),
        Route::get("/posts/home/{username}", posts::home)
            .auth(Auth::Required)
            .id("listHomeTimeline")
            .summary("Lists the posts of those whom one follows, newest first")
            .fails(&[Code::Forbidden])
            .paged_by(POSTS),
    ]
}
