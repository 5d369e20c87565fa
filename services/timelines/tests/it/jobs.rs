//! Posts that are made behind, in this process or by `timelines work`.

use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{PATIENCE, eventually};

use crate::{
    helpers::{Backend, Person, Plaza, ids},
    teller::broker,
};

crate::on_each_store![
    s2_21_a_post_is_made_behind,
    s2_35_a_worker_process_makes_the_posts,
    s2_35_a_worker_that_dies_makes_each_post_once,
    s2_35_a_job_whose_message_was_lost_is_found,
    posts_of_one_author_are_made_in_the_order_of_asking_by_two_instances,
    a_job_that_cannot_be_done_does_not_stop_those_behind_it,
    s2_73_a_job_is_its_owners_alone,
    s2_73_a_job_that_fails_says_why,
];

/// `timelines work post-jobs` over the stores of a plaza.
struct Worker(Child);

impl Worker {
    fn start(plaza: &Plaza, more: &[&str]) -> Self {
        let data = plaza
            .service
            .context
            .settings
            .data_dir
            .display()
            .to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_timelines"))
            .args(["--registration=off", "--admin-addr=127.0.0.1:0"])
            .args(["--data-dir", &data])
            .args(&plaza.flags)
            .args(more)
            .args(["work", "post-jobs"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    async fn has_died(&mut self) {
        let child = std::cell::RefCell::new(&mut self.0);
        eventually("the end of the worker", || async {
            match child.borrow_mut().try_wait().unwrap() {
                Some(_) => Ok(()),
                None => Err("it runs".into()),
            }
        })
        .await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Declares the queue, by a worker that comes and goes: messages from before reach nobody.
async fn declared(plaza: &Plaza) {
    let worker = plaza.another(&["--roles", "post-jobs"]).await;
    let context = &worker.service.context;
    let broker = broker("probe", &plaza.amqp, context);
    let queue = messaging::declared(&broker, "timelines.post-jobs", PATIENCE);
    queue.await.unwrap();
    worker.service.stop().await;
}

/// Asks for a post; the job.
async fn queued(plaza: &Plaza, who: &Person, text: &str) -> String {
    let body = json!({ "text": text });
    let reply = plaza.post_as(who, "/posts/async", &body).await;
    let answer = reply.expect(202);
    assert_eq!(answer["status"], "accepted");
    assert_eq!(answer["message"], "Post creation queued for processing");
    answer["job_id"].as_str().unwrap().to_owned()
}

async fn job(plaza: &Plaza, who: &Person, job_id: &str) -> Value {
    let reply = plaza.get_as(who, &format!("/posts/jobs/{job_id}")).await;
    assert_eq!(reply.expect(200)["job_id"], job_id);
    reply.json
}

/// Waits until the job is no longer queued.
async fn ended(plaza: &Plaza, who: &Person, job_id: &str) -> Value {
    eventually("the end of the job", || async {
        let job = job(plaza, who, job_id).await;
        match job["status"].as_str() {
            Some("queued") => Err("queued".into()),
            _ => Ok(job),
        }
    })
    .await
}

async fn s2_21_a_post_is_made_behind(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, reader) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let url = "https://example.com/original";
    let body = json!({"text": "Later", "repost_original_url": url, "user_id": ada.id});
    let reply = plaza.post_as(&ada, "/posts/async", &body).await;
    let job_id = reply.expect(202)["job_id"].as_str().unwrap().to_owned();
    let job = ended(&plaza, &ada, &job_id).await;
    assert_eq!(job["status"], "done");
    let path = format!("/posts/id/{}", job["post_id"]);
    let post = plaza.get(&path).await;
    assert_eq!(
        (&post.expect(200)["text"], &post.json["repost_original_url"]),
        (&json!("Later"), &json!(url))
    );
    assert_eq!(post.json["username"], ada.username);
    plaza
        .sees(&reader, &[job["post_id"].as_i64().unwrap()])
        .await;
    let anonymous = plaza.service.call(Method::POST, "/posts/async", "", &body);
    anonymous.await.problem(401);
}

async fn s2_35_a_worker_process_makes_the_posts(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--roles", "none"]).await;
    // The queue is there from the first start of a worker on.
    declared(&plaza).await;
    let ada = plaza.person();
    let mut jobs = Vec::new();
    for number in 0..5 {
        jobs.push(queued(&plaza, &ada, &format!("job {number}")).await);
    }
    assert_eq!(job(&plaza, &ada, &jobs[0]).await["status"], "queued");
    let _worker = Worker::start(&plaza, &[]);
    for job_id in &jobs {
        let job = ended(&plaza, &ada, job_id).await;
        assert_eq!(job["status"], "done", "{job}");
    }
    assert_eq!(ids(plaza.get("/posts").await.expect(200)).len(), 5);
}

async fn s2_35_a_worker_that_dies_makes_each_post_once(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--roles", "none"]).await;
    declared(&plaza).await;
    let mut dying = Worker::start(&plaza, &["--messaging-failpoint", "before-ack"]);
    let ada = plaza.person();
    let first = queued(&plaza, &ada, "once").await;
    let second = queued(&plaza, &ada, "also once").await;
    // The post is stored by then, and the broker does not know.
    dying.has_died().await;
    let _next = Worker::start(&plaza, &[]);
    for job_id in [first, second] {
        assert_eq!(ended(&plaza, &ada, &job_id).await["status"], "done");
    }
    // One more, so that anything that came twice has come by now.
    let last = queued(&plaza, &ada, "the last").await;
    ended(&plaza, &ada, &last).await;
    let posts = plaza.get("/posts").await;
    assert_eq!(ids(posts.expect(200)).len(), 3, "{}", posts.text);
}

async fn s2_35_a_job_whose_message_was_lost_is_found(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--roles", "none"]).await;
    let ada = plaza.person();
    // There is no queue yet that the message could wait in.
    let job_id = queued(&plaza, &ada, "long ago").await;
    plaza
        .execute("UPDATE jobs SET created_at = '2026-01-01T00:00:00Z'")
        .await;
    let _worker = Worker::start(&plaza, &[]);
    assert_eq!(ended(&plaza, &ada, &job_id).await["status"], "done");
}

async fn posts_of_one_author_are_made_in_the_order_of_asking_by_two_instances(backend: Backend) {
    const POSTS: usize = 100;
    let plaza = Plaza::start_with(backend, &["--roles", "none"]).await;
    let other = plaza.another(&["--roles", "none"]).await;
    declared(&plaza).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let mut jobs = Vec::new();
    for number in 0..POSTS {
        let door = if number % 2 == 0 { &plaza } else { &other };
        jobs.push(queued(door, &ada, &number.to_string()).await);
        if number % 10 == 0 {
            queued(door, &grace, "meanwhile").await;
        }
    }
    let work = ["--roles", "post-jobs"];
    let (_one, _another) = tokio::join!(plaza.another(&work), plaza.another(&work));
    for job_id in &jobs {
        assert_eq!(ended(&plaza, &ada, job_id).await["status"], "done");
    }
    let path = format!("/posts/{}?limit=200", ada.username);
    let posts = plaza.get(&path).await;
    let posts = posts.expect(200).as_array().unwrap();
    let texts: Vec<&str> = posts
        .iter()
        .filter_map(|post| post["text"].as_str())
        .collect();
    let asked: Vec<String> = (0..POSTS).rev().map(|number| number.to_string()).collect();
    assert_eq!(texts, asked);
}

async fn a_job_that_cannot_be_done_does_not_stop_those_behind_it(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--roles", "none"]).await;
    declared(&plaza).await;
    let ada = plaza.person();
    let first = queued(&plaza, &ada, "fine today").await;
    plaza.execute("UPDATE jobs SET text = ''").await;
    let second = queued(&plaza, &ada, "behind it").await;
    let _worker = Worker::start(&plaza, &[]);
    assert_eq!(ended(&plaza, &ada, &second).await["status"], "done");
    assert_eq!(job(&plaza, &ada, &first).await["status"], "failed");
}

async fn s2_73_a_job_is_its_owners_alone(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let job_id = queued(&plaza, &ada, "mine").await;
    let path = format!("/posts/jobs/{job_id}");
    plaza.get_as(&grace, &path).await.problem(403);
    plaza.get(&path).await.problem(401);
    for missing in ["01890000-0000-7000-8000-000000000000", "x", "7", "%00"] {
        let path = format!("/posts/jobs/{missing}");
        plaza.get_as(&ada, &path).await.problem(404);
    }
}

async fn s2_73_a_job_that_fails_says_why(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--roles", "none"]).await;
    declared(&plaza).await;
    let ada = plaza.person();
    let job_id = queued(&plaza, &ada, "fine today").await;
    plaza.execute("UPDATE jobs SET text = ''").await;
    let _worker = Worker::start(&plaza, &[]);
    let job = ended(&plaza, &ada, &job_id).await;
    assert_eq!(job["status"], "failed");
    assert!(
        job["reason"].as_str().unwrap().contains("1 to 280"),
        "{job}"
    );
    assert!(job.get("post_id").is_none(), "{job}");
    assert_eq!(plaza.get("/posts").await.expect(200), &json!([]));
}
