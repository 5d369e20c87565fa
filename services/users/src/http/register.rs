//! Five doors to the same registration.

use std::{net::IpAddr, sync::Arc};

use chassis::{Answer, Error, Request};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Users,
    door::Pass,
    model::{Bio, Email, Name, NewPassword, NewUser, User, Username},
    store::NotInserted,
};

/// Names tried for somebody who did not choose one.
const ATTEMPTS: usize = 20;

type Answered<T> = Result<Answer<T>, Error>;

/// Refuses with 409, or with 400 where the source does (D4, D29).
type Refuse = fn(&'static str) -> Error;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "CarClubRegistration")]
#[schema(examples(json!({
    "name": "Ada",
    "email": "ada@example.com",
    "password": "correct horse",
})))]
pub(super) struct RegisterS0Request {
    name: Name,
    email: Email,
    password: NewPassword,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CarClubAccount")]
pub(super) struct RegisterS0Response {
    user_id: i64,
    message: &'static str,
}

/// S0-01
pub(super) async fn s0(
    users: Arc<Users>,
    request: Request,
    body: RegisterS0Request,
) -> Answered<RegisterS0Response> {
    let username = Username::derived_from(&body.email);
    let new = NewUser {
        username,
        email: body.email,
        name: Some(body.name),
        bio: None,
    };
    let user = users
        .register_under_any_name(&request, new, &body.password)
        .await?;
    Ok(RegisterS0Response {
        user_id: user.id,
        message: "User registered successfully.",
    }
    .into())
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "Registration")]
#[schema(examples(json!({
    "username": "ada",
    "email": "ada@example.com",
    "password": "correct horse",
    "name": "Ada",
    "bio": "Drives a Zoe.",
})))]
pub(super) struct RegisterRequest {
    username: Username,
    email: Email,
    password: NewPassword,
    name: Option<Name>,
    bio: Option<Bio>,
}

impl RegisterRequest {
    async fn register(
        self,
        users: &Users,
        request: &Request,
        refuse: Refuse,
    ) -> Result<User, Error> {
        let new = NewUser {
            username: self.username,
            email: self.email,
            name: self.name,
            bio: self.bio,
        };
        users.register(request, &new, &self.password, refuse).await
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Account {
    id: i64,
    username: String,
    #[schema(format = Email)]
    email: String,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            email: user.email,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "NewAccount")]
pub(super) struct RegisterS1Response {
    message: &'static str,
    user: Account,
}

/// S1-01
pub(super) async fn s1(
    users: Arc<Users>,
    request: Request,
    body: RegisterRequest,
) -> Answered<RegisterS1Response> {
    let user = body
        .register(&users, &request, Error::conflict)
        .await?
        .into();
    Ok(RegisterS1Response {
        message: "User registered successfully",
        user,
    }
    .into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MicroblogAccount")]
pub(super) struct RegisterS2Response {
    user_id: i64,
    username: String,
    #[schema(format = Email)]
    email: String,
    bio: String,
    message: &'static str,
}

/// S2-14
pub(super) async fn s2(
    users: Arc<Users>,
    request: Request,
    body: RegisterRequest,
) -> Answered<RegisterS2Response> {
    let user = body.register(&users, &request, Error::malformed).await?;
    let User {
        id,
        username,
        email,
        bio,
        ..
    } = user;
    Ok(RegisterS2Response {
        user_id: id,
        username,
        email,
        bio,
        message: "User registered successfully",
    }
    .into())
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "MovieClubRegistration")]
#[schema(examples(json!({
    "username": "ada",
    "email": "ada@example.com",
    "password": "correct horse",
    "confirm_password": "correct horse",
})))]
pub(super) struct RegisterS3Request {
    username: Username,
    email: Email,
    password: NewPassword,
    #[schema(format = Password)]
    confirm_password: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Message {
    pub(super) message: &'static str,
}

/// S3-05, S3-06
pub(super) async fn s3(
    users: Arc<Users>,
    request: Request,
    body: RegisterS3Request,
) -> Answered<Message> {
    if !body.password.is(&body.confirm_password) {
        return Err(Error::malformed("Passwords do not match"));
    }
    let new = NewUser {
        username: body.username,
        email: body.email,
        name: None,
        bio: None,
    };
    users
        .register(&request, &new, &body.password, Error::malformed)
        .await?;
    Ok(Message {
        message: "User registered successfully",
    }
    .into())
}

/// The market's source asks for no name: then it comes from the address.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({
    "email": "ada@example.com",
    "password": "correct horse",
})))]
pub(super) struct RegisterS4Request {
    /// From the part of the address before the `@` when absent, with a number behind where that is taken.
    username: Option<Username>,
    email: Email,
    password: NewPassword,
    name: Option<Name>,
    bio: Option<Bio>,
}

/// S4-01
pub(super) async fn s4(
    users: Arc<Users>,
    request: Request,
    body: RegisterS4Request,
) -> Answered<RegisterS1Response> {
    let RegisterS4Request {
        username,
        email,
        password,
        name,
        bio,
    } = body;
    let Some(username) = username else {
        let username = Username::derived_from(&email);
        let new = NewUser {
            username,
            email,
            name,
            bio,
        };
        let user = users.register_under_any_name(&request, new, &password);
        return Ok(RegisterS1Response {
            message: "User registered successfully",
            user: user.await?.into(),
        }
        .into());
    };
    let body = RegisterRequest {
        username,
        email,
        password,
        name,
        bio,
    };
    s1(users, request, body).await
}

impl Users {
    async fn register(
        &self,
        request: &Request,
        new: &NewUser,
        password: &NewPassword,
        refuse: Refuse,
    ) -> Result<User, Error> {
        const USERNAME: &str = "Username already exists";
        const EMAIL: &str = "Email already exists";
        let network = request.client_network();
        let pass = self.admit(network).await?;
        // Looked up first, so that a name that is taken does not cost a hash.
        if self.store.has_username(&new.username).await? {
            return Err(refuse(USERNAME));
        }
        if self.store.has_email(&new.email).await? {
            return Err(refuse(EMAIL));
        }
        let hash = pass.hash(password.secret()).await?;
        let inserted = self.store.insert_user(new, hash).await;
        let user = inserted.map_err(|reason| match reason {
            NotInserted::UsernameTaken => refuse(USERNAME),
            NotInserted::EmailTaken => refuse(EMAIL),
            NotInserted::Store(error) => error,
        })?;
        self.throttle.registered(user.id, network).await;
        Ok(user)
    }

    /// Lets somebody in who wants to register.
    async fn admit(&self, network: Option<IpAddr>) -> Result<Pass<'_>, Error> {
        let pass = self.registrations.enter(network)?;
        self.throttle.registration(network).await?;
        Ok(pass)
    }

    /// For those who choose no username: a number goes behind it until it is free (D1).
    async fn register_under_any_name(
        &self,
        request: &Request,
        mut new: NewUser,
        password: &NewPassword,
    ) -> Result<User, Error> {
        let network = request.client_network();
        let pass = self.admit(network).await?;
        if self.store.has_email(&new.email).await? {
            return Err(Error::conflict("Email already exists"));
        }
        let hash = pass.hash(password.secret()).await?;
        let wished = new.username.clone();
        for _ in 0..ATTEMPTS {
            match self.store.insert_user(&new, hash.clone()).await {
                Ok(user) => {
                    self.throttle.registered(user.id, network).await;
                    return Ok(user);
                }
                Err(NotInserted::UsernameTaken) => new.username = wished.numbered(),
                Err(NotInserted::EmailTaken) => {
                    return Err(Error::conflict("Email already exists"));
                }
                Err(NotInserted::Store(error)) => return Err(error),
            }
        }
        Err(Error::conflict(
            "No username is free for this address; register with one of your own",
        ))
    }
}
