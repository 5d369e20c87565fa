//! What happens elsewhere becomes mails (S2-37, S4-13, D10, D14, D27).

use messaging::{
    Envelope,
    events::{CarPostCreated, ItemAdded, ItemBought, LikesNoticed, OrderPlaced, UserRegistered},
};
use serde_json::json;
use testkit::{eventually, unique};

use crate::{
    helpers::{ANNA, BEN, Backend, EVENTS, Plaza, address},
    on_each_store,
};

on_each_store!(
    s1_18_somebody_new_finds_one_note_and_gets_no_mail,
    s2_37_an_author_gets_one_mail_for_many_likes,
    s4_13_a_seller_is_told_of_an_item_that_is_added,
    s4_13_d27_seller_and_buyer_are_told_of_a_purchase_once_however_often_it_is_said,
    d10_each_subscriber_but_the_author_is_told_of_a_post,
    d14_an_order_is_confirmed,
);

fn bought() -> ItemBought {
    ItemBought {
        order_id: unique("o"),
        item_id: 5,
        name: "A <lamp>".into(),
        quantity: 2,
        total_cents: 3998,
        seller_id: ANNA,
        buyer_id: BEN,
        bought_at: "2026-01-01T00:00:00Z".into(),
    }
}

async fn s1_18_somebody_new_finds_one_note_and_gets_no_mail(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let joined = UserRegistered {
        user_id: ANNA,
        username: "anna".into(),
        name: "Anna".into(),
        email: plaza.people.add(ANNA),
    };
    let envelope = Envelope::new("users", &joined).unwrap();
    for _ in 0..3 {
        plaza.publish_again(&envelope).await;
    }
    // Behind it in the same queue: when its mail is there, the others are handled.
    let ben = plaza.people.add(BEN);
    plaza
        .publish(&ItemAdded {
            item_id: 5,
            name: "A lamp".into(),
            seller_id: BEN,
            price_cents: 1,
        })
        .await;
    plaza.smtp.mail_to(&ben).await;
    let own = eventually("the note", || async {
        let own = plaza.get_as(ANNA, "/notifications").await;
        match own.expect(200).as_array().unwrap().len() {
            0 => Err("none".into()),
            _ => Ok(own.json),
        }
    })
    .await;
    assert_eq!(own.as_array().unwrap().len(), 1, "{own}");
    let note = &own[0];
    assert_eq!(
        (&note["type"], &note["status"], &note["recipient"]),
        (&json!("note"), &json!("sent"), &json!("anna"))
    );
    assert_eq!(note["subject"], "Welcome to Plaza, anna");
    assert!(note["message"].as_str().unwrap().starts_with("Hello anna,"));
    assert_eq!(plaza.smtp.mails().len(), 1, "the seller's alone");
    // It is none of the ten that she may ask for (D13), and nobody can ask for one.
    for _ in 0..10 {
        plaza.mail(&address()).await;
    }
    let asked = json!({"type": "note", "recipient": "anna", "message": "x"});
    plaza.send(BEN, &asked).await.problem(422);
}

async fn s2_37_an_author_gets_one_mail_for_many_likes(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let anna = plaza.people.add(ANNA);
    let likes = LikesNoticed {
        post_id: 12,
        author_id: ANNA,
        likes: 40,
        usernames: vec!["x1".into(), "x2".into(), "x3".into()],
    };
    plaza.publish(&likes).await;
    let mail = plaza.smtp.mail_to(&anna).await;
    assert_eq!(mail.header("subject"), "40 people like your post");
    assert!(mail.text().contains("Hello user7,"), "{mail:?}");
    assert!(mail.text().contains("x1, x2, x3 and 37 more"), "{mail:?}");
    // It is hers: she sees it in her list.
    let own = plaza.get_as(ANNA, "/notifications").await;
    assert_eq!(own.expect(200)[0]["subject"], "40 people like your post");
    assert_eq!(plaza.smtp.mails().len(), 1);
}

async fn s4_13_a_seller_is_told_of_an_item_that_is_added(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let anna = plaza.people.add(ANNA);
    let item = ItemAdded {
        item_id: 5,
        name: "A lamp".into(),
        seller_id: ANNA,
        price_cents: 1999,
    };
    plaza.publish(&item).await;
    let mail = plaza.smtp.mail_to(&anna).await;
    assert_eq!(mail.header("subject"), "Your item is on offer: A lamp");
    assert!(mail.text().contains("19.99"), "{mail:?}");
}

async fn s4_13_d27_seller_and_buyer_are_told_of_a_purchase_once_however_often_it_is_said(
    backend: Backend,
) {
    let plaza = Plaza::start(backend).await;
    let (anna, ben) = (plaza.people.add(ANNA), plaza.people.add(BEN));
    let envelope = Envelope::new("items", &bought()).unwrap();
    for _ in 0..5 {
        plaza.publish_again(&envelope).await;
    }
    let (to_anna, to_ben) = (
        plaza.smtp.mail_to(&anna).await,
        plaza.smtp.mail_to(&ben).await,
    );
    assert!(to_anna.text().contains("somebody bought 2"), "{to_anna:?}");
    assert!(to_ben.text().contains("you bought 2"), "{to_ben:?}");
    assert!(to_ben.text().contains("A &lt;lamp&gt;"), "{to_ben:?}");
    // One more, so that anything that comes twice has come by now.
    plaza.publish(&bought()).await;
    eventually("the second purchase", || async {
        let mails = plaza.smtp.mails().len();
        assert!(mails <= 4, "{mails}");
        if mails == 4 {
            Ok(())
        } else {
            Err(mails.to_string())
        }
    })
    .await;
}

async fn d10_each_subscriber_but_the_author_is_told_of_a_post(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let author = plaza.people.add(50);
    let mut addresses = Vec::new();
    // More than two pages; one has no account any more, one an address that is none.
    for id in 100..330 {
        plaza.people.subscribe(id);
        addresses.push(plaza.people.add(id));
    }
    plaza.people.subscribe(50);
    plaza.people.subscribe(99);
    plaza.people.subscribe(98);
    plaza
        .people
        .add_with(98, "Nobody <a@example.com>, b@example.com");
    let post = CarPostCreated {
        post_id: unique("post"),
        user_id: 50,
        title: "Quiet & quick".into(),
        car_model: "Zoe".into(),
    };
    plaza.publish(&post).await;
    eventually("all mails", || async {
        let mails = plaza.smtp.mails().len();
        if mails >= addresses.len() {
            Ok(())
        } else {
            Err(mails.to_string())
        }
    })
    .await;
    for address in &addresses {
        assert_eq!(plaza.smtp.mails_to(address).len(), 1);
    }
    assert!(plaza.smtp.mails_to(&author).is_empty());
    assert_eq!(plaza.smtp.mails().len(), addresses.len());
    let mail = plaza.smtp.mail_to(&addresses[0]).await;
    assert_eq!(mail.header("subject"), "New about Zoe: Quiet & quick");
}

async fn d14_an_order_is_confirmed(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let anna = plaza.people.add(ANNA);
    let order = OrderPlaced {
        order_id: unique("o"),
        user_id: ANNA,
        product_id: 3,
        product_name: "Mug\r\nBcc: x@example.com".into(),
        quantity: 1,
        total_cents: 500,
    };
    plaza.publish(&order).await;
    let mail = plaza.smtp.mail_to(&anna).await;
    assert_eq!(mail.header("subject"), "Your order has been processed!");
    assert!(
        mail.text().contains("Your order has been processed!"),
        "{mail:?}"
    );
    assert_eq!((mail.to.len(), mail.header("bcc")), (1, String::new()));
}

#[tokio::test]
async fn s4_14_while_users_is_away_events_wait() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let (anna, ben) = (plaza.people.add(ANNA), plaza.people.add(BEN));
    plaza.people.go_away(true);
    plaza.publish(&bought()).await;
    assert!(plaza.smtp.mails().is_empty());
    plaza.people.go_away(false);
    plaza.smtp.mail_to(&anna).await;
    plaza.smtp.mail_to(&ben).await;
    assert_eq!(plaza.smtp.mails().len(), 2);
}

#[tokio::test]
async fn s4_14_what_happens_while_notifications_is_down_is_told_when_it_is_back() {
    let plaza = Plaza::start_with(Backend::Sqlite, &["--roles=none"]).await;
    let (anna, ben) = (plaza.people.add(ANNA), plaza.people.add(BEN));
    let first = plaza.another().await;
    plaza.declared(EVENTS).await;
    first.stop().await;
    for _ in 0..10 {
        plaza.publish(&bought()).await;
    }
    assert!(plaza.smtp.mails().is_empty());

    let back = plaza.another().await;

    eventually("all mails", || async {
        let mails = plaza.smtp.mails().len();
        if mails >= 20 {
            Ok(())
        } else {
            Err(mails.to_string())
        }
    })
    .await;
    assert_eq!(
        (
            plaza.smtp.mails_to(&anna).len(),
            plaza.smtp.mails_to(&ben).len()
        ),
        (10, 10)
    );
    back.stop().await;
}
