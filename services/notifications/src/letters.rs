//! What mails say, from the templates in `templates/`.
//!
//! The first line of a template is the subject; the rest is paragraphs, as they are in the plain
//! text and escaped in the HTML. Names and titles come as one line, so that nobody writes lines of
//! ours.

use anyhow::Context as _;
use chassis::{Error, Money};
use messaging::events::{ItemAdded, ItemBought, LikesNoticed, OrderPlaced};
use minijinja::{AutoEscape, Environment, Value, context};

use crate::{
    jobs::SubscribersDue,
    model::{Body, Subject, line},
};

/// Longest name or title in a mail, in characters.
const LONGEST_NAME: usize = 120;
/// The only template that is HTML: it holds the text of all others.
const LAYOUT: &str = "layout.html";

/// One kind of mail with what it tells.
#[derive(Debug)]
pub(crate) enum Letter<'a> {
    /// Something that a person asked to be said.
    Message {
        subject: &'a Subject,
        message: &'a str,
        sender: &'a str,
    },
    Likes(&'a LikesNoticed),
    ItemAdded(&'a ItemAdded),
    ItemSold(&'a ItemBought),
    ItemBought(&'a ItemBought),
    Order(&'a OrderPlaced),
    CarPost(&'a SubscribersDue),
    /// The first thing that somebody finds here (S1-18).
    Welcome,
}

/// A mail as it is sent.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) subject: Subject,
    pub(crate) body: Body,
}

/// The templates, read once.
#[derive(Debug)]
pub(crate) struct Letters(Environment<'static>);

impl Letters {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|name| match name {
            LAYOUT => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        for (name, text) in [
            ("message.txt", include_str!("../templates/message.txt")),
            ("likes.txt", include_str!("../templates/likes.txt")),
            (
                "item_added.txt",
                include_str!("../templates/item_added.txt"),
            ),
            ("item_sold.txt", include_str!("../templates/item_sold.txt")),
            (
                "item_bought.txt",
                include_str!("../templates/item_bought.txt"),
            ),
            ("order.txt", include_str!("../templates/order.txt")),
            ("car_post.txt", include_str!("../templates/car_post.txt")),
            ("welcome.txt", include_str!("../templates/welcome.txt")),
            (LAYOUT, include_str!("../templates/layout.html")),
        ] {
            environment.add_template(name, text)?;
        }
        Ok(Self(environment))
    }

    /// Writes a mail to somebody.
    ///
    /// # Errors
    /// 500 when a template does not fit: a bug.
    pub(crate) fn write(&self, letter: &Letter<'_>, username: &str) -> Result<Written, Error> {
        self.render(letter, username).map_err(Error::internal)
    }

    fn render(&self, letter: &Letter<'_>, username: &str) -> anyhow::Result<Written> {
        let (template, values) = values(letter, username);
        let text = self.0.get_template(template)?.render(values)?;
        let (subject, text) = text
            .split_once("\n\n")
            .context("a template has a subject")?;
        let subject = Subject::of(subject);
        let paragraphs: Vec<String> = text.split("\n\n").map(str::to_owned).collect();
        let html = self.0.get_template(LAYOUT)?.render(context! {
            subject => subject.as_str(),
            paragraphs => paragraphs,
        })?;
        let text = format!("{}\n", text.trim_end());
        Ok(Written {
            subject,
            body: Body { text, html },
        })
    }
}

fn values(letter: &Letter<'_>, username: &str) -> (&'static str, Value) {
    let name = |text: &str| line(text, LONGEST_NAME);
    match letter {
        Letter::Message {
            subject,
            message,
            sender,
        } => {
            let values =
                context! { subject => subject.as_str(), message => *message, sender => *sender };
            ("message.txt", values)
        }
        Letter::Likes(likes) => {
            let (post_id, who) = (likes.post_id, who(likes));
            let likes = likes.likes;
            ("likes.txt", context! { username, likes, post_id, who })
        }
        Letter::ItemAdded(item) => {
            let (item_id, price) = (item.item_id, amount(item.price_cents));
            let name = name(&item.name);
            (
                "item_added.txt",
                context! { username, name, item_id, price },
            )
        }
        Letter::ItemSold(bought) => ("item_sold.txt", purchase(bought, username)),
        Letter::ItemBought(bought) => ("item_bought.txt", purchase(bought, username)),
        Letter::Order(order) => {
            let (quantity, total) = (order.quantity, amount(order.total_cents));
            let (name, order_id) = (name(&order.product_name), name(&order.order_id));
            let values = context! { username, name, quantity, total, order_id };
            ("order.txt", values)
        }
        Letter::CarPost(post) => {
            let (car_model, title) = (name(&post.car_model), name(&post.title));
            let post_id = name(&post.post_id);
            let values = context! { username, car_model, title, post_id };
            ("car_post.txt", values)
        }
        Letter::Welcome => ("welcome.txt", context! { username }),
    }
}

fn purchase(bought: &ItemBought, username: &str) -> Value {
    let (name, order_id) = (
        line(&bought.name, LONGEST_NAME),
        line(&bought.order_id, LONGEST_NAME),
    );
    let (quantity, item_id, total) = (bought.quantity, bought.item_id, amount(bought.total_cents));
    context! { username, name, quantity, item_id, total, order_id }
}

/// `ada, grace and 5 more`
fn who(likes: &LikesNoticed) -> String {
    let named: Vec<String> = likes
        .usernames
        .iter()
        .take(3)
        .map(|name| line(name, LONGEST_NAME))
        .collect();
    let more = usize::try_from(likes.likes)
        .unwrap_or(usize::MAX)
        .saturating_sub(named.len());
    match (named.is_empty(), more) {
        (true, _) => "see who".to_owned(),
        (false, 0) => named.join(", "),
        (false, more) => format!("{} and {more} more", named.join(", ")),
    }
}

fn amount(cents: i64) -> String {
    // What cannot be an amount is shown as it came.
    Money::from_cents(cents).map_or_else(|| format!("{cents} cents"), |money| money.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(letter: &Letter<'_>) -> Written {
        Letters::new().unwrap().write(letter, "ada").unwrap()
    }

    #[test]
    fn s2_37_likes_are_counted_in_one_sentence() {
        let mut likes = LikesNoticed {
            post_id: 7,
            author_id: 1,
            likes: 1,
            usernames: vec!["grace".into()],
        };
        let one = written(&Letter::Likes(&likes));
        assert_eq!(one.subject.as_str(), "1 person likes your post");
        assert_eq!(
            one.body.text,
            "Hello ada,\n\n1 person likes your post 7: grace.\n"
        );
        likes.likes = 5;
        likes.usernames = vec!["a".into(), "b".into(), "c".into()];
        let many = written(&Letter::Likes(&likes));
        assert_eq!(many.subject.as_str(), "5 people like your post");
        assert!(many.body.text.contains(": a, b, c and 2 more."), "{many:?}");
    }

    #[test]
    fn d13_what_people_write_stays_text() {
        let subject = Subject::new("<b>Hi</b> {{ 7*7 }}").unwrap();
        let letter = Letter::Message {
            subject: &subject,
            message: "line 1\nline 2 <script>alert(1)</script> {{ 7*7 }}\n\nnext & last",
            sender: "mallory",
        };
        let Written { subject, body } = written(&letter);
        assert_eq!(subject.as_str(), "<b>Hi</b> {{ 7*7 }}");
        assert!(
            body.text.starts_with(
                "line 1\nline 2 <script>alert(1)</script> {{ 7*7 }}\n\nnext & last\n\nmallory "
            ),
            "{}",
            body.text
        );
        assert!(!body.html.contains("<script>") && !body.html.contains("<b>"));
        assert!(body.html.contains("&lt;script&gt;"), "{}", body.html);
        assert!(body.html.contains("next &amp; last"), "{}", body.html);
    }

    #[test]
    fn d14_an_order_says_the_sentence_of_the_contract() {
        let order = OrderPlaced {
            order_id: "o-1".into(),
            user_id: 1,
            product_id: 2,
            product_name: "A lamp\r\nBcc: x@y.z".into(),
            quantity: 3,
            total_cents: 5_997,
        };
        let Written { subject, body } = written(&Letter::Order(&order));
        assert_eq!(subject.as_str(), "Your order has been processed!");
        assert!(
            body.text.contains("3 × A lamp Bcc: x@y.z, 59.97 in all."),
            "{}",
            body.text
        );
    }

    #[test]
    fn d27_names_are_cut_and_no_line_of_theirs_becomes_the_subject() {
        let bought = ItemBought {
            order_id: "o-2".into(),
            item_id: 5,
            name: format!("x\n\n{}", "y".repeat(500)),
            quantity: 1,
            total_cents: 100,
            seller_id: 1,
            buyer_id: 2,
            bought_at: String::new(),
        };
        let sold = written(&Letter::ItemSold(&bought));
        assert!(sold.subject.as_str().starts_with("You sold 1 × x yyy"));
        assert!(
            sold.body.text.starts_with("Hello ada,"),
            "{}",
            sold.body.text
        );
        assert_eq!(
            sold.subject.as_str().chars().count(),
            "You sold 1 × ".chars().count() + LONGEST_NAME
        );
        assert!(
            written(&Letter::ItemBought(&bought))
                .body
                .text
                .contains("for 1.00")
        );
    }
}
