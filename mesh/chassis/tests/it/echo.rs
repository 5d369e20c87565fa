//! A service that says back what it is told, and answers `/slow` when the test says so.

use std::sync::Arc;

use mesh_chassis::{Answer, Auth, Context, Error, Page, Paging, Request, Route, Service, Text};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

#[derive(Debug, Clone, clap::Args)]
pub struct Settings {}

#[derive(Debug)]
pub struct Echo {
    /// A permit for each `/slow` that may be answered.
    pub go: Semaphore,
    /// A permit for each `/slow` that has arrived.
    pub arrived: Semaphore,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Said {
    text: Text<1, 20>,
}

/// What may come in any form.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Fields {
    name: Text<1, 20>,
    number: Option<i64>,
}

/// What may be left out.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Optional {
    #[serde(default)]
    quantity: u8,
    #[serde(default)]
    note: Text<0, 20_000>,
}

impl Service for Echo {
    const NAME: &'static str = "echo";
    const DESCRIPTION: &'static str = "Says back what it is told";
    const ROLES: &'static [&'static str] = &["shouting"];
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        vec![
            Route::post("/echo", echo).auth(Auth::None),
            Route::post("/private", echo),
            Route::post_form("/fields", fields).auth(Auth::None),
            Route::post_or_nothing("/optional", optional).auth(Auth::None),
            Route::get("/whole", whole).query("number", "A number"),
            Route::get("/slow", slow),
            Route::get("/numbers", numbers)
                .paged()
                .query("other", "Nothing"),
            Route::get("/counted", numbers).paged_by(Paging::by_offset(3, 4)),
            Route::get("/things/{name}", thing).id("getThing"),
            Route::get("/numbers/{number:int}", number).refuses_words(),
            Route::get("/ordinals/{number:int}", number),
            Route::get("/mine", whose).auth(Auth::Optional),
            Route::post("/things/new", echo).auth(Auth::None),
        ]
    }

    async fn build(_: Settings, _: &Context) -> anyhow::Result<Self> {
        Ok(Self {
            go: Semaphore::new(0),
            arrived: Semaphore::new(0),
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}

async fn echo(_: Arc<Echo>, _: Request, said: Said) -> Result<Answer<Said>, Error> {
    Ok(said.into())
}

async fn fields(_: Arc<Echo>, _: Request, said: Fields) -> Result<Answer<Fields>, Error> {
    Ok(said.into())
}

async fn optional(_: Arc<Echo>, _: Request, said: Optional) -> Result<Answer<Optional>, Error> {
    Ok(said.into())
}

async fn whole(_: Arc<Echo>, request: Request) -> Result<Answer<Option<i64>>, Error> {
    Ok(request.query_whole("number")?.into())
}

async fn slow(echo: Arc<Echo>, _: Request) -> Result<Answer<String>, Error> {
    echo.arrived.add_permits(1);
    echo.go.acquire().await.map_err(Error::internal)?.forget();
    Ok("at last".to_owned().into())
}

async fn numbers(_: Arc<Echo>, request: Request) -> Result<Answer<Vec<i64>>, Error> {
    let page: Page<i64> = request.page()?;
    let rows = page.after.map_or(0, |last| last + 1)..5;
    let rows = rows.skip(usize::try_from(page.offset).unwrap_or(0));
    let rows = rows.take(usize::try_from(page.fetch()).unwrap_or(0));
    page.answer(&request, rows.collect(), |number| *number, |number| number)
}

async fn number(_: Arc<Echo>, request: Request) -> Result<Answer<i64>, Error> {
    Ok(request.param::<i64>("number")?.into())
}

async fn whose(_: Arc<Echo>, request: Request) -> Result<Answer<Option<i64>>, Error> {
    Ok(request.identity().map(|identity| identity.user_id).into())
}

async fn thing(_: Arc<Echo>, request: Request) -> Result<Answer<String>, Error> {
    Ok(request.param::<String>("name")?.into())
}
