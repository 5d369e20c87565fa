//! Claim: every row of the contracts that `polls` answers holds through the ingress, and votes
//! that come at once are all counted.

use reqwest::Method;
use serde_json::json;
use testkit::{Mesh, mesh::Person};
use tokio::task::JoinSet;

/// Who votes at once.
const VOTERS: usize = 50;

async fn poll(person: &Person, options: &[&str]) -> String {
    let body = json!({"question": "Which one?", "options": options});
    let created = Mesh::current()
        .call(Method::POST, "/polls", &person.token, &body)
        .await;
    created.expect(201)["poll_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s2_31_s2_32_a_poll_is_created_and_shown() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let body = json!({"question": "Tea?", "options": ["Yes", "No"]});
    let created = mesh.call(Method::POST, "/polls", &ada.token, &body).await;
    let poll = created.expect(201);
    assert_eq!(poll["created_by"], ada.username);
    assert_eq!(poll["counts"], json!([0, 0]));
    let shown = mesh.get(created.header("location")).await;
    assert_eq!(shown.expect(200), poll);
    mesh.call(Method::POST, "/polls", "", &body)
        .await
        .problem(401);
    mesh.get("/polls/nothing").await.problem(404);
}

#[tokio::test]
async fn s2_33_s2_34_d19_one_vote_a_user() {
    let mesh = Mesh::current();
    let (ada, grace) = (mesh.person().await, mesh.person().await);
    let poll = poll(&ada, &["Tea", "Coffee", "Water"]).await;
    let vote = format!("/polls/{poll}/vote");
    let body = json!({"choice_index": 2});
    let voted = mesh.call(Method::POST, &vote, &grace.token, &body).await;
    assert_eq!(voted.expect(200)["status"], "ok");
    assert_eq!(voted.json["poll"]["counts"], json!([0, 0, 1]));
    let again = mesh.call(Method::POST, &vote, &grace.token, &body).await;
    again.problem(409);
    let none = json!({"choice_index": 3});
    let refused = mesh.call(Method::POST, &vote, &ada.token, &none).await;
    refused.problem(400);
    let results = mesh.get(&format!("/polls/{poll}/results")).await;
    assert_eq!(results.expect(200), &voted.json["poll"]);
}

/// Fifty people with one vote each: none is lost, though the store has no atomic update.
#[tokio::test]
async fn s2_33_fifty_votes_at_once_are_all_counted() {
    let mesh = Mesh::current();
    let mut registering = JoinSet::new();
    // Registration hashes passwords: a few at a time, or nothing else gets a turn.
    for _ in 0..5 {
        registering.spawn(async {
            let mut people = Vec::new();
            for _ in 0..VOTERS / 5 {
                people.push(Mesh::current().person().await);
            }
            people
        });
    }
    let people: Vec<Person> = registering.join_all().await.into_iter().flatten().collect();
    let poll = poll(&people[0], &["Tea", "Coffee"]).await;

    let mut voting = JoinSet::new();
    for (number, person) in people.into_iter().enumerate() {
        let path = format!("/polls/{poll}/vote");
        voting.spawn(async move {
            let body = json!({"choice_index": number % 2});
            let reply = Mesh::current()
                .call(Method::POST, &path, &person.token, &body)
                .await;
            reply.status
        });
    }
    let statuses = voting.join_all().await;

    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let results = mesh.get(&format!("/polls/{poll}/results")).await;
    let half = VOTERS / 2;
    assert_eq!(results.expect(200)["counts"], json!([half, half]));
}
