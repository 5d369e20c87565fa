//! The peers that `items` calls.

use chassis::{Code, Error};
use proto::users::FindRequest;

chassis::peer! {
    /// What items asks of `users`.
    pub(crate) struct Sellers { find => proto::users::UsersFind }
}

impl Sellers {
    /// Whose name this is; nobody's, perhaps.
    ///
    /// # Errors
    /// 503 when `users` does not answer.
    pub(crate) async fn id_of(&self, username: &str) -> Result<Option<i64>, Error> {
        // No name has this character, and not every store takes it.
        if username.contains('\0') {
            return Ok(None);
        }
        let username = username.to_owned();
        match self.find(FindRequest { username }).await {
            Ok(user) => Ok(Some(user.id)),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
