//! Five doors to the same login; and logout, validation and the keys.

use std::sync::Arc;

use chassis::{Answer, Error, Identity, Request, address_key, text};
use http::{HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::register::{Account, Message};
use crate::{
    Users,
    door::Pass,
    keys::JwkSet,
    model::{User, impossible},
    password::Verdict,
    sessions::Issued,
    throttle::Subject,
};

type Answered<T> = Result<Answer<T>, Error>;

/// Any door takes an address or a name, under whichever key its source uses (D1).
#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "Login")]
#[schema(examples(json!({ "email": "ada@example.com", "password": "correct horse" })))]
pub(super) struct LoginRequest {
    /// An e-mail address, or a username.
    email: Option<String>,
    /// A username, or an e-mail address; not looked at where `email` is given.
    username: Option<String>,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

impl LoginRequest {
    /// What somebody who does more than to log in says of themselves.
    pub(super) fn of(
        email: Option<String>,
        username: Option<String>,
        password: SecretString,
    ) -> Self {
        Self {
            email,
            username,
            password,
        }
    }

    /// The account that is meant: a username as it is compared, or an address.
    fn account(&self) -> Result<String, Error> {
        let given = [&self.email, &self.username].into_iter().flatten();
        let given: Vec<&String> = given.collect();
        // Forms send both, one of them empty.
        let named = given.iter().find(|name| !name.is_empty());
        let given = named
            .or(given.first())
            .ok_or_else(|| Error::unacceptable("email or username is missing").at("/username"))?;
        Ok(if given.contains('@') {
            given.trim().to_owned()
        } else {
            text::composed(given.trim()).to_lowercase()
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CarClubToken")]
pub(super) struct LoginS0Response {
    token: String,
    user_id: i64,
}

/// S0-02
pub(super) async fn s0(
    users: Arc<Users>,
    request: Request,
    body: LoginRequest,
) -> Answered<LoginS0Response> {
    let (user, issued) = users.log_in(&request, body).await?;
    Ok(LoginS0Response {
        token: issued.token,
        user_id: user.id,
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "AccountToken")]
pub(super) struct LoginResponse {
    message: &'static str,
    user: Account,
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
}

/// S1-02
pub(super) async fn s1(
    users: Arc<Users>,
    request: Request,
    body: LoginRequest,
) -> Answered<LoginResponse> {
    let (user, issued) = users.log_in(&request, body).await?;
    Ok(LoginResponse {
        message: "Login successful",
        user: user.into(),
        access_token: issued.token,
        token_type: "bearer",
        expires_in: issued.expires_in,
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MicroblogToken")]
pub(super) struct LoginS2Response {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    user_id: i64,
    username: String,
}

/// S2-15
pub(super) async fn s2(
    users: Arc<Users>,
    request: Request,
    body: LoginRequest,
) -> Answered<LoginS2Response> {
    let (user, issued) = users.log_in(&request, body).await?;
    Ok(LoginS2Response {
        access_token: issued.token,
        token_type: "bearer",
        expires_in: issued.expires_in,
        user_id: user.id,
        username: user.username,
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MovieClubToken")]
pub(super) struct LoginS3Response {
    message: &'static str,
    access_token: String,
    user: String,
}

/// S3-07, S3-08
pub(super) async fn s3(
    users: Arc<Users>,
    request: Request,
    body: LoginRequest,
) -> Answered<LoginS3Response> {
    let (user, issued) = users.log_in(&request, body).await?;
    Ok(LoginS3Response {
        message: "Login successful",
        access_token: issued.token,
        user: user.username,
    }
    .into())
}

/// S4-02
pub(super) async fn s4(
    users: Arc<Users>,
    request: Request,
    body: LoginRequest,
) -> Answered<LoginS2Response> {
    s2(users, request, body).await
}

/// S3-09
pub(super) async fn logout(users: Arc<Users>, request: Request) -> Answered<Message> {
    users.sessions.revoke(request.caller()?).await?;
    Ok(Message {
        message: "User logged out",
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "TokenValidity")]
pub(super) struct ValidateResponse {
    valid: bool,
    user_id: i64,
    username: String,
    exp: i64,
}

impl From<Identity> for ValidateResponse {
    fn from(identity: Identity) -> Self {
        Self {
            valid: true,
            user_id: identity.user_id,
            username: identity.username,
            exp: identity.expires_at,
        }
    }
}

/// S4-03
pub(super) async fn validate(_: Arc<Users>, request: Request) -> Answered<ValidateResponse> {
    Ok(ValidateResponse::from(request.caller()?.clone()).into())
}

/// A token as a value: some clients have no way to send it as a header.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "token": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl" })))]
pub(super) struct ValidateRequest {
    #[schema(value_type = String)]
    token: SecretString,
}

/// S4-03, as its source asks it.
pub(super) async fn validate_token(
    users: Arc<Users>,
    _: Request,
    body: ValidateRequest,
) -> Answered<ValidateResponse> {
    let identity = users.sessions.verify(body.token.expose_secret())?;
    Ok(ValidateResponse::from(identity).into())
}

/// D2
pub(super) async fn jwks(users: Arc<Users>, _: Request) -> Answered<JwkSet> {
    let cached = HeaderValue::from_static("public, max-age=60");
    Ok(Answer::from(users.sessions.jwks()).header(header::CACHE_CONTROL, cached))
}

impl Users {
    async fn log_in(&self, request: &Request, body: LoginRequest) -> Result<(User, Issued), Error> {
        let user = self.prove(request, body).await?;
        let issued = self.sessions.issue(&user)?;
        Ok((user, issued))
    }

    /// Who is meant, if the password is theirs: 401 otherwise, and 429 after too many others.
    pub(super) async fn prove(&self, request: &Request, body: LoginRequest) -> Result<User, Error> {
        let (name, network) = (body.account()?, request.client_network());
        let pass = self.logins.enter(network)?;
        let user = if name.contains('\0') {
            None
        } else {
            self.store.find_by_login(&name).await?
        };
        let subject = user.as_ref().map_or_else(
            || Subject::nobody(&address_key(&name)),
            |user| Subject::Account(user.id),
        );
        let attempt = self.throttle.attempt(&subject, network).await?;
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let verdict = if impossible(&body.password) {
            Ok(Verdict::Wrong)
        } else {
            pass.verify(&body.password, hash).await
        };
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(busy) => {
                attempt.undecided().await;
                return Err(busy);
            }
        };
        let Some(user) = user.filter(|_| verdict != Verdict::Wrong) else {
            return Err(Error::unauthenticated("Invalid email or password"));
        };
        attempt.succeeded().await;
        if verdict == Verdict::Outdated {
            self.renew(&user, &pass, &body.password).await;
        }
        Ok(user)
    }

    /// Replaces an old hash; where that fails, the next login does it.
    async fn renew(&self, user: &User, pass: &Pass<'_>, password: &SecretString) {
        let renewed = match pass.hash(password).await {
            Ok(hash) => self.store.update_password_hash(user, hash).await,
            Err(error) => Err(error),
        };
        if let Err(error) = renewed {
            tracing::warn!(cause = %error, user.id, "an old hash was not replaced");
        }
    }
}
