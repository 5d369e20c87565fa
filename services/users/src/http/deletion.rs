//! The end of an account.

use std::sync::Arc;

use chassis::{Answer, Error, Nothing, Request};
use secrecy::SecretString;
use serde::Deserialize;
use utoipa::ToSchema;

use super::login::LoginRequest;
use crate::Users;

/// Whose account it is, as at a login: a token alone, which may be stolen, deletes nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "email": "ada@example.com", "password": "correct horse" })))]
pub(super) struct DeleteAccountRequest {
    /// An e-mail address, or a username; the account of the token when both are absent.
    email: Option<String>,
    /// A username, or an e-mail address; not looked at where `email` is given.
    username: Option<String>,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Who knows the password may, with a token or without one. Done again it is a login of nobody: 401.
pub(super) async fn delete(
    users: Arc<Users>,
    request: Request,
    body: DeleteAccountRequest,
) -> Result<Answer<Nothing>, Error> {
    let own = request.identity();
    let named = body.email.is_some() || body.username.is_some();
    let username = match own {
        Some(identity) if !named => Some(identity.username.clone()),
        _ => body.username,
    };
    let login = LoginRequest::of(body.email, username, body.password);
    let user = users.prove(&request, login).await?;
    if own.is_some_and(|identity| identity.user_id != user.id) {
        return Err(Error::forbidden("The token is somebody else's"));
    }
    users.delete(&user).await?;
    Ok(Nothing.into())
}
