//! Comments on a post, as they are written (S0-11, D8).

use std::sync::Arc;

use chassis::{
    Code, Error,
    json::{self, Misfit},
    socket::{Ending, Frame},
};

use crate::{
    hub::Hub,
    line::Line,
    model::{self, Said},
    room::{Member, Room},
    session::{Speech, Writer},
};

/// What was missed cannot be told now.
const AWAY: Ending = Ending::new(1013, "What you missed cannot be read now: connect again");
const DELETED: Ending = Ending::new(1000, "The post was deleted");

/// A socket on the comments of one post.
#[derive(Debug)]
pub(crate) struct Comments {
    pub(crate) hub: Arc<Hub>,
    pub(crate) room: Arc<Room>,
    /// The last comment that the client has.
    pub(crate) after: Option<u64>,
}

impl Comments {
    /// Stores what somebody says, and tells everybody on the post.
    pub(crate) async fn write(&self, writer: &Writer, said: Said) -> Result<(), Error> {
        let author = writer.identity()?.user_id;
        let words = said.comment_text.into_string();
        self.hub.comment(&self.room, author, words).await
    }

    /// Tells what is missing from the store, a page of it.
    async fn tell(&mut self, missing: u64, line: &mut Line) -> Result<(), Ending> {
        let post_id = self.room.post_id.clone().unwrap_or_default();
        let page = self.hub.comments_after(&post_id, Some(missing)).await;
        let page = page.map_err(|error| gone(&error))?;
        for comment in &page.comments {
            if !line.send(model::comment(comment)).await {
                return Err(AWAY);
            }
        }
        self.after = Some(if page.until > missing {
            page.until
        } else {
            // The store knows less than this room: so does nobody else.
            self.room.last()
        });
        Ok(())
    }
}

/// How a socket ends whose comments cannot be read.
fn gone(error: &Error) -> Ending {
    match error.code() {
        Code::NotFound => DELETED,
        _ => AWAY,
    }
}

/// Reads what a client says.
pub(crate) fn said(text: &str) -> Result<Said, Error> {
    json::from_str(text).map_err(|misfit| unfit(&misfit))
}

/// What is wrong with what a client says.
pub(crate) fn unfit(misfit: &Misfit) -> Error {
    let place = misfit.of("the frame");
    Error::unacceptable(format!(
        "A frame must be {{\"comment_text\":\"…\"}}: {place}"
    ))
}

/// The place of a comment: ids are `<post_id>.<place>`. 0 is before the first.
pub(crate) fn place(post_id: &str, comment_id: &str) -> Result<u64, Error> {
    let number = match comment_id.split_once('.') {
        Some((post, number)) if post == post_id => number,
        None => comment_id,
        Some(_) => "",
    };
    let number = number.parse();
    number.map_err(|_| Error::malformed("`after` must be the id of a comment on this post"))
}

impl Speech for Comments {
    const KIND: &'static str = "comment";

    async fn open(&mut self, member: &Member, line: &mut Line) -> Result<(), Ending> {
        let mut recalled = false;
        loop {
            let missing = match self.hub.join(&self.room, member, self.after) {
                Ok(room) => {
                    self.room = room;
                    return Ok(());
                }
                Err(missing) => missing,
            };
            if !recalled && self.hub.could_remember(&self.room, missing) {
                recalled = true;
                self.hub
                    .recall(&self.room, missing)
                    .await
                    .map_err(|error| gone(&error))?;
            } else {
                self.tell(missing, line).await?;
            }
        }
    }

    async fn say(
        &mut self,
        _: &Member,
        writer: &Writer,
        _: &mut Line,
        text: &str,
    ) -> Option<Frame> {
        let written = match said(text) {
            Ok(said) => self.write(writer, said).await,
            Err(error) => Err(error),
        };
        written.err().map(|error| model::error(error.message()))
    }

    fn close(&mut self, member: &Member) {
        self.room.leave(member.id);
    }
}
