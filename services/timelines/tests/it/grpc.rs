//! What other services are answered.

use chassis::{Address, Code, Upstream};
use proto::timelines::{GetRequest, TimelinesGet};

use crate::helpers::{Backend, Plaza};

crate::on_each_store![s2_36_get_says_who_wrote_a_post];

async fn s2_36_get_says_who_wrote_a_post(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    let post_id = plaza.written(&ada, "Hello").await;
    let url = format!("http://{}", plaza.service.address);
    let upstream = Upstream::new(&Address::Url(url)).unwrap();
    let get = |post_id| upstream.call::<TimelinesGet>(GetRequest { post_id });
    let post = get(post_id).await.unwrap();
    assert_eq!(
        (post.post_id, post.user_id, post.username),
        (post_id, ada.id, ada.username.clone())
    );
    assert_eq!(get(0).await.unwrap_err().code(), Code::NotFound);
    let path = format!("/posts/id/{post_id}");
    plaza.delete_as(&ada, &path).await.expect(200);
    assert_eq!(get(post_id).await.unwrap_err().code(), Code::NotFound);
}
