//! Products are added, listed, changed and removed.

use chassis::{Address, Code, Upstream};
use proto::products::{GetRequest, ProductsGet};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::stores::Sql;

use crate::{call, create, draft, repeat, start};

testkit::on_each_store![
    s1_04_a_product_is_created_and_told_back,
    s1_03_the_list_is_a_bare_array_newest_first_and_paged,
    s1_07_a_product_has_the_four_fields,
    s1_21_a_product_is_kept_in_either_database,
    d12_the_owner_changes_and_removes,
    d6_others_may_not,
    d26_a_repeated_post_makes_one_product,
    d14_orders_learn_the_price_over_grpc,
];

async fn s1_04_a_product_is_created_and_told_back(store: Sql) {
    let products = start(store).await;
    let draft = draft("Product Name", &json!(19.99));
    let created = call(&products, 1, Method::POST, "/products/", &draft).await;
    let created = created.expect(201);
    assert_eq!(created["message"], "Product created successfully");
    assert_eq!(created["product"]["price"], json!(19.99));
    assert_eq!(created["product"]["name"], "Product Name");
}

async fn s1_03_the_list_is_a_bare_array_newest_first_and_paged(store: Sql) {
    let products = start(store).await;
    for name in ["a", "b", "c"] {
        create(&products, 1, name).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|product| product["name"].as_str().unwrap().to_owned())
            .collect()
    };
    for path in ["/products/", "/products"] {
        assert_eq!(names(products.get(path).await.expect(200)), ["c", "b", "a"]);
    }
    let page = products.get("/products/?limit=2").await;
    assert_eq!(names(page.expect(200)), ["c", "b"]);
    let link = page.header("link");
    let next = link.split(['<', '>']).nth(1).unwrap();
    let rest = products.get(next).await;
    assert_eq!(names(rest.expect(200)), ["a"]);
    assert!(!rest.headers.contains_key("link"));
}

async fn s1_07_a_product_has_the_four_fields(store: Sql) {
    let products = start(store).await;
    let id = create(&products, 1, "a").await;
    let reply = products.get(&format!("/products/{id}")).await;
    let shown = reply.expect(200).as_object().unwrap();
    let fields: Vec<&str> = shown.keys().map(String::as_str).collect();
    assert_eq!(fields, ["description", "id", "name", "price"]);
    assert!(reply.text.contains("19.99"), "{}", reply.text);
    products.get("/products/999999").await.problem(404);
}

async fn s1_21_a_product_is_kept_in_either_database(store: Sql) {
    let products = start(store).await;
    let id = create(&products, 1, "kept").await;
    let shown = products.get(&format!("/products/{id}")).await;
    assert_eq!(shown.expect(200)["name"], "kept");
}

async fn d12_the_owner_changes_and_removes(store: Sql) {
    let products = start(store).await;
    let id = create(&products, 1, "a").await;
    let path = format!("/products/{id}/");
    let changed = call(&products, 1, Method::PUT, &path, &draft("b", &json!(5))).await;
    assert_eq!(changed.expect(200)["product"]["name"], "b");
    assert!(changed.text.contains("5.00"), "{}", changed.text);
    let removed = call(&products, 1, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(
        removed.expect(200)["message"],
        "Product deleted successfully"
    );
    products.get(&path).await.problem(404);
    let gone = call(&products, 1, Method::PUT, &path, &draft("b", &json!(5))).await;
    gone.problem(404);
}

async fn d6_others_may_not(store: Sql) {
    let products = start(store).await;
    let path = format!("/products/{}", create(&products, 1, "a").await);
    let draft = draft("mine", &json!(0.01));
    call(&products, 2, Method::PUT, &path, &draft)
        .await
        .problem(403);
    call(&products, 2, Method::DELETE, &path, &Value::Null)
        .await
        .problem(403);
    products
        .call(Method::POST, "/products/", "", &draft)
        .await
        .problem(401);
    assert_eq!(products.get(&path).await.expect(200)["name"], "a");
}

async fn d26_a_repeated_post_makes_one_product(store: Sql) {
    let products = start(store).await;
    let body = draft("once", &json!(1));
    let first = repeat(&products, "key", &body).await;
    let again = repeat(&products, "key", &body).await;
    assert_eq!(first.expect(201), again.expect(201));
    repeat(&products, "key", &draft("twice", &json!(1)))
        .await
        .problem(422);
    let list = products.get("/products/").await;
    assert_eq!(list.expect(200).as_array().unwrap().len(), 1);
}

async fn d14_orders_learn_the_price_over_grpc(store: Sql) {
    let products = start(store).await;
    let id = create(&products, 1, "a").await;
    let address = Address::Url(format!("http://{}", products.address));
    let upstream = Upstream::new(&address).unwrap();
    let product = upstream.call::<ProductsGet>(GetRequest { id }).await;
    assert_eq!(product.unwrap().price_cents, 1999);
    let missing = upstream.call::<ProductsGet>(GetRequest { id: 999_999 });
    assert_eq!(missing.await.unwrap_err().code(), Code::NotFound);
}
