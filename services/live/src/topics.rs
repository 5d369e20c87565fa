//! The discussion of a car model (D10): not kept, and new posts about it show.

use std::sync::Arc;

use chassis::{
    Error, clock,
    socket::{Ending, Frame},
};
use serde_json::json;

use crate::{
    comments::said,
    hub::Hub,
    line::Line,
    model::{self, Said},
    room::{Member, Room},
    session::{Speech, Writer},
};

/// A socket on one car model.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) hub: Arc<Hub>,
    pub(crate) room: Arc<Room>,
}

impl Topic {
    /// Tells everybody on the model.
    pub(crate) async fn write(&self, writer: &Writer, said: Said) -> Result<(), Error> {
        let author = writer.identity()?;
        let data = json!({
            "user_id": author.user_id,
            "username": author.username,
            "car_model": self.room.name.parts().1,
            "comment_text": said.comment_text,
            "timestamp": clock::text(clock::now()),
        });
        let frame = model::event("message", &data);
        self.hub.say(&self.room.name, frame).await;
        Ok(())
    }
}

impl Speech for Topic {
    const KIND: &'static str = "message";

    async fn open(&mut self, member: &Member, _: &mut Line) -> Result<(), Ending> {
        if let Ok(room) = self.hub.join(&self.room, member, None) {
            self.room = room;
        }
        Ok(())
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
