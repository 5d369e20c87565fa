//! Background work as a process of its own.

use testkit::TestService;

use crate::echo::Echo;

#[tokio::test]
async fn s2_35_a_worker_answers_operators_and_nobody_else() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let worker = TestService::<Echo>::start_worker_in(folder, &[]).await;
    assert!(worker.context.works("shouting"));
    assert_eq!(worker.context.instance, "echo-work-1");
    assert_eq!(
        worker.address, worker.admin,
        "there is no listener for requests"
    );
    worker.stop().await;
}

#[tokio::test]
async fn s2_35_serving_does_the_work_too_unless_told_otherwise() {
    let all = TestService::<Echo>::start(&[]).await;
    assert!(all.context.works("shouting") && !all.context.works("whispering"));
    let none = TestService::<Echo>::start(&["--roles", "none"]).await;
    assert!(!none.context.works("shouting"));
}
