//! An account is deleted by whoever knows its password, and nobody and nothing of it is left here.

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database, Statement};
use serde_json::{Value, json};
use testkit::{Reply, TestService, eventually};
use users::Users;

use crate::helpers::{
    Backend, NOBODY, PASSWORD, Person, get, log_in, person, post, start, store_flags, store_url,
};

crate::on_each_store![
    an_account_is_deleted_by_who_knows_its_password_and_nobody_else,
    a_deleted_account_is_nowhere_and_its_tokens_are_dead,
    tokens_of_a_deleted_account_die_on_every_instance_and_stay_dead,
    of_two_who_delete_an_account_at_once_one_does,
    nothing_of_a_deleted_account_is_left_in_the_store,
    a_number_is_never_given_again_and_a_name_not_yet,
];

async fn delete(users: &TestService<Users>, token: &str, body: &Value) -> Reply {
    users
        .call(Method::DELETE, "/auth/delete", token, body)
        .await
}

fn credentials(person: &Person) -> Value {
    json!({ "email": person.email, "password": PASSWORD })
}

async fn an_account_is_deleted_by_who_knows_its_password_and_nobody_else(backend: Backend) {
    let users = start(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    // A token alone, a wrong password, somebody else's token, a forged one, nobody at all.
    let token = ada.token.as_str();
    delete(&users, token, &json!({})).await.problem(422);
    let wrong = json!({ "email": ada.email, "password": "wrong password" });
    for token in ["", token] {
        let refused = delete(&users, token, &wrong).await;
        assert_eq!(refused.problem(401), "Invalid email or password");
    }
    let stolen = delete(&users, &grace.token, &credentials(&ada)).await;
    stolen.problem(403);
    let forged = delete(&users, "x.y.z", &credentials(&ada)).await;
    forged.problem(401);
    delete(&users, "", &json!({ "password": PASSWORD }))
        .await
        .problem(422);
    delete(&users, "", &Value::Null).await.problem(415);
    get(&users, "/auth/validate", token).await.expect(200);
    // As its source asks it: credentials, and no token.
    let deleted = delete(&users, "", &credentials(&ada)).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    // By its token and the password.
    let own = json!({ "password": PASSWORD });
    let deleted = delete(&users, &grace.token, &own).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    // Again, it is a login of nobody.
    let again = delete(&users, "", &credentials(&ada)).await;
    assert_eq!(again.problem(401), "Invalid email or password");
    delete(&users, &grace.token, &own).await.problem(401);
}

async fn a_deleted_account_is_nowhere_and_its_tokens_are_dead(backend: Backend) {
    let users = start(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    let second = log_in(&users, &ada.username).await;
    for (who, whom) in [(&ada, &grace), (&grace, &ada)] {
        let path = format!("/users/follow/{}", whom.username);
        let followed = users.call(Method::POST, &path, &who.token, &Value::Null);
        followed.await.expect(200);
    }

    let deleted = delete(&users, &ada.token, &credentials(&ada)).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);

    for token in [&ada.token, &second] {
        get(&users, "/auth/validate", token).await.problem(401);
        let body = json!({ "token": token });
        post(&users, "/auth/validate", &body).await.problem(401);
    }
    let body = json!({ "username": ada.username, "password": PASSWORD });
    for door in ["/login", "/users/login", "/auth/login", "/auth/signin"] {
        post(&users, door, &body).await.problem(401);
    }
    let own = grace.token.as_str();
    let paths = [
        format!("/api/users/{}", ada.id),
        format!("/users/{}", ada.username),
        format!("/users/{}/followers", ada.username),
    ];
    for path in paths {
        get(&users, &path, own).await.problem(404);
    }
    // Who followed, and was followed, has right counts at once.
    let path = format!("/users/{}", grace.username);
    let profile = get(&users, &path, own).await;
    assert_eq!(profile.expect(200)["followers"], 0);
    assert_eq!(profile.json["followees"], 0);
    let followed = get(&users, &format!("{path}/followees"), own).await;
    assert_eq!(followed.expect(200)["followees"], json!([]));
    let path = format!("/users/follow/{}", ada.username);
    let nobody = users.call(Method::POST, &path, own, &Value::Null);
    nobody.await.problem(404);
}

async fn tokens_of_a_deleted_account_die_on_every_instance_and_stay_dead(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let first = TestService::<Users>::start(&flags).await;
    let second = TestService::<Users>::start_in(first.data(), &flags).await;
    let ada = person(&first).await;
    let status =
        async |users: &TestService<Users>| get(users, "/auth/validate", &ada.token).await.status;
    eventually("the key reaches the second instance", || async {
        match status(&second).await {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    let deleted = delete(&first, "", &credentials(&ada)).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    assert_eq!(status(&first).await, 401);
    eventually("the second instance has heard of it", || async {
        match status(&second).await {
            401 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    let third = TestService::<Users>::start_in(first.data(), &flags).await;
    assert_eq!(status(&third).await, 401);
}

async fn of_two_who_delete_an_account_at_once_one_does(backend: Backend) {
    let users = start(backend).await;
    let ada = person(&users).await;
    let body = credentials(&ada);
    let deleting = (0..4).map(|_| delete(&users, "", &body));
    let answers = futures_util::future::join_all(deleting).await;
    let mut answers: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    answers.sort_unstable();
    assert_eq!(answers, [204, 401, 401, 401]);
}

async fn nothing_of_a_deleted_account_is_left_in_the_store(backend: Backend) {
    let store = store_flags(backend).await;
    let mut flags = vec!["--upstream-urls", NOBODY];
    flags.extend(store.iter().map(String::as_str));
    let users = TestService::<Users>::start(&flags).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    for (who, whom) in [(&ada, &grace), (&grace, &ada)] {
        let path = format!("/users/follow/{}", whom.username);
        let followed = users.call(Method::POST, &path, &who.token, &Value::Null);
        followed.await.expect(200);
    }
    // From a network that is then known.
    let login = json!({ "username": ada.username, "password": PASSWORD });
    let login = users.request(Method::POST, "/login").json(&login);
    let login = login.header("x-forwarded-for", "203.0.113.9");
    testkit::send(login).await.expect(200);
    let rows = Database::connect(store_url(&users, &store)).await.unwrap();
    let count = async |table: &str, condition: &str| {
        let sql = format!("SELECT count(*) FROM {table} WHERE {condition}");
        let statement = Statement::from_string(rows.get_database_backend(), sql);
        let row = rows.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap()
    };
    let own = [
        ("users", format!("id = {}", ada.id)),
        (
            "follows",
            format!("follower_id = {0} OR followee_id = {0}", ada.id),
        ),
        ("follow_versions", format!("follower_id = {}", ada.id)),
        ("known_networks", format!("user_id = {}", ada.id)),
    ];
    for (table, condition) in &own {
        assert_ne!(count(table, condition).await, 0, "{table}");
    }

    let deleted = delete(&users, "", &credentials(&ada)).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);

    for (table, condition) in &own {
        assert_eq!(count(table, condition).await, 0, "{table}");
    }
    assert_eq!(count("users", &format!("id = {}", grace.id)).await, 1);
}

async fn a_number_is_never_given_again_and_a_name_not_yet(backend: Backend) {
    let users = start(backend).await;
    // The last number of all, which a store might give again.
    let ada = person(&users).await;
    let deleted = delete(&users, "", &credentials(&ada)).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    // No service has answered: who comes next shall not get what is found by this name.
    for name in [ada.username.clone(), ada.username.to_uppercase()] {
        let body = json!({ "username": name, "email": "new@example.com", "password": PASSWORD });
        post(&users, "/users/register", &body).await.problem(409);
    }
    // The address is free, and a name that comes from one is another one.
    let body = json!({ "email": ada.email, "password": PASSWORD });
    let registered = post(&users, "/auth/register", &body).await;
    let next = &registered.expect(201)["user"];
    assert!(next["id"].as_i64().unwrap() > ada.id, "{next}");
    let name = next["username"].as_str().unwrap();
    assert!(
        name.starts_with(&ada.username) && name != ada.username,
        "{name}"
    );
}
