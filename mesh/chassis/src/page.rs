//! Paging (D7): `limit` and an opaque `cursor` in, `Link: <…>; rel="next"` out. Lists of the microblog take an `offset` too.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Answer, Error, Request, json};

/// Items of a page when the caller does not say.
pub const DEFAULT_LIMIT: u64 = 50;
/// Items of a page at most; a larger `limit` means this one.
pub const MAX_LIMIT: u64 = 200;

/// Items that an `offset` leaves out at most: a store walks over all of them.
pub const MAX_OFFSET: u64 = 10_000;

/// Bytes of a cursor at most: several times as many as any list gives out.
const MAX_CURSOR: usize = 1024;
/// The times that stores are asked for: each of ours has them, and others are not the same in all.
const TIMES: std::ops::Range<i64> = 0..253_402_300_800_000_000;

/// A time as a part of a cursor: microseconds since 1970, before the year 10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct CursorTime(DateTime<Utc>);

impl CursorTime {
    /// The time itself.
    pub fn time(self) -> DateTime<Utc> {
        self.0
    }
}

impl From<DateTime<Utc>> for CursorTime {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl From<CursorTime> for i64 {
    fn from(time: CursorTime) -> Self {
        time.0.timestamp_micros()
    }
}

impl TryFrom<i64> for CursorTime {
    type Error = &'static str;

    fn try_from(micros: i64) -> Result<Self, Self::Error> {
        let time = DateTime::from_timestamp_micros(micros).filter(|_| TIMES.contains(&micros));
        time.map(Self).ok_or("no time of any list")
    }
}

/// What a list may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    pub(crate) default: u64,
    pub(crate) most: u64,
    pub(crate) offset: bool,
}

impl Paging {
    /// What a list may be asked for that does not say otherwise.
    pub(crate) const PLAIN: Self = Self::by_cursor(DEFAULT_LIMIT, MAX_LIMIT);

    /// Pages of `default` items unless the caller says, and of `most` at most.
    pub const fn by_cursor(default: u64, most: u64) -> Self {
        Self {
            default,
            most,
            offset: false,
        }
    }

    /// The same for a list that takes an `offset` beside the cursor.
    pub const fn by_offset(default: u64, most: u64) -> Self {
        Self {
            offset: true,
            ..Self::by_cursor(default, most)
        }
    }

    /// Clients that send an offset know one status for a bad parameter, whatever is wrong with it.
    fn refuse(self, message: String) -> Error {
        if self.offset {
            Error::unacceptable(message)
        } else {
            Error::malformed(message)
        }
    }

    fn limit(self, limit: Option<&str>) -> Result<u64, Error> {
        match limit.map(whole) {
            None => Ok(self.default),
            Some(Some(limit)) if limit >= 1 => Ok(limit.min(self.most)),
            Some(_) => {
                Err(self.refuse(format!("`limit` must be a number from 1 to {}", self.most)))
            }
        }
    }

    /// A list that takes no offset says so: whoever counts by one would see its first page for ever.
    fn offset(self, offset: Option<&str>) -> Result<u64, Error> {
        let most = if self.offset { MAX_OFFSET } else { 0 };
        let given = offset.map_or(Some(0), whole);
        given.filter(|offset| *offset <= most).ok_or_else(|| {
            self.refuse(if self.offset {
                format!("`offset` must be a number from 0 to {MAX_OFFSET}: for what follows, go by the Link header")
            } else {
                "This list takes no `offset`: for what follows, go by the Link header".to_owned()
            })
        })
    }
}

fn whole(text: &str) -> Option<u64> {
    json::whole(text).and_then(|number| u64::try_from(number).ok())
}

/// Which part of a list is asked for; `K` is the key of the last item of the page before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<K> {
    /// 1 to what the list has at most.
    pub limit: u64,
    /// Items that are left out before the first; 0 where the list takes none.
    pub offset: u64,
    /// Items after this key, in the list's own order; `None` for the first page.
    pub after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Page<K> {
    pub(crate) fn parse(
        paging: Paging,
        limit: Option<&str>,
        cursor: Option<&str>,
        offset: Option<&str>,
    ) -> Result<Self, Error> {
        Ok(Self {
            limit: paging.limit(limit)?,
            offset: paging.offset(offset)?,
            after: cursor.map(decode).transpose()?,
        })
    }

    /// How many rows to fetch: one more than shown tells whether there is a next page.
    pub fn fetch(&self) -> u64 {
        self.limit + 1
    }

    /// The answer: at most `limit` of `rows` as a bare array, and the link to what follows them.
    ///
    /// # Errors
    /// 500 when a key cannot be written as a cursor.
    pub fn answer<T: Serialize, R>(
        &self,
        request: &Request,
        rows: Vec<R>,
        key: impl Fn(&R) -> K,
        show: impl Fn(R) -> T,
    ) -> Result<Answer<Vec<T>>, Error> {
        self.wrapped(request, rows, key, |rows| {
            rows.into_iter().map(show).collect()
        })
    }

    /// The same in an envelope: `wrap` makes the body of the rows that are shown.
    ///
    /// # Errors
    /// As [`Page::answer`].
    pub fn wrapped<T: Serialize, R>(
        &self,
        request: &Request,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
        wrap: impl FnOnce(Vec<R>) -> T,
    ) -> Result<Answer<T>, Error> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(&key);
        self.linked(request, wrap(rows), next.as_ref())
    }

    /// An answer whose rows are written already: `next` is the key of the last one that `body`
    /// shows, where more follow.
    ///
    /// # Errors
    /// As [`Page::answer`].
    pub fn linked<T: Serialize>(
        &self,
        request: &Request,
        body: T,
        next: Option<&K>,
    ) -> Result<Answer<T>, Error> {
        let answer = Answer::from(body);
        let Some(next) = next else { return Ok(answer) };
        let link = format!("<{}>; rel=\"next\"", self.next_url(request, next)?);
        Ok(answer.header(
            header::LINK,
            HeaderValue::try_from(link).map_err(Error::internal)?,
        ))
    }

    fn next_url(&self, request: &Request, next: &K) -> Result<String, Error> {
        let mut query: Vec<(String, String)> = request
            .query_pairs()
            // What the route knows nothing of stays out of the answer: it may be a token in the wrong place.
            .filter(|(name, _)| request.declared.contains(&name.as_str()))
            .filter(|(name, _)| !["cursor", "limit", "offset"].contains(&name.as_str()))
            .collect();
        query.push(("limit".into(), self.limit.to_string()));
        query.push(("cursor".into(), encode(next)?));
        let query = serde_urlencoded::to_string(query).map_err(Error::internal)?;
        Ok(format!("{}?{query}", request.path()))
    }
}

fn encode<K: Serialize>(key: &K) -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).map_err(Error::internal)?))
}

fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K, Error> {
    let bytes = Some(cursor).filter(|cursor| cursor.len() <= MAX_CURSOR);
    let bytes = bytes.and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
    let key = bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    key.filter(|key| !has_nul(key))
        .and_then(|key| serde_json::from_value(key).ok())
        .ok_or_else(|| Error::malformed("cursor is not one that this list gave out"))
}

/// Whether a text in it has the character that not all stores take.
fn has_nul(key: &Value) -> bool {
    match key {
        Value::String(text) => text.contains('\0'),
        Value::Array(parts) => parts.iter().any(has_nul),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_limits_are_bounded_and_cursors_must_be_ours() {
        let page = |limit, cursor| Page::<i64>::parse(Paging::PLAIN, limit, cursor, None);
        assert_eq!(page(None, None).unwrap().limit, 50);
        assert_eq!(page(Some("100000"), None).unwrap().limit, 200);
        assert_eq!(page(Some("2.0"), None).unwrap().limit, 2);
        for bad in ["0", "-1", "x", "1.5", "9223372036854775808"] {
            assert_eq!(
                page(Some(bad), None).unwrap_err().code(),
                crate::Code::Malformed,
                "{bad}"
            );
        }
        for bad in ["", "x", "bm90IGpzb24", "eyJhIjoxfQ"] {
            assert!(page(None, Some(bad)).is_err(), "{bad}");
        }
        let long = encode(&"x".repeat(MAX_CURSOR)).unwrap();
        assert!(Page::<String>::parse(Paging::PLAIN, None, Some(&long), None).is_err());
        let cursor = encode(&17_i64).unwrap();
        assert_eq!(page(None, Some(&cursor)).unwrap().after, Some(17));
    }

    #[test]
    fn an_offset_is_bounded_and_never_ignored() {
        let paging = Paging::by_offset(100, 1_000);
        let page = |limit, offset| Page::<i64>::parse(paging, limit, None, offset);
        let first = page(None, None).unwrap();
        assert_eq!((first.limit, first.offset), (100, 0));
        let last = page(Some("5000"), Some("10000")).unwrap();
        assert_eq!((last.limit, last.offset), (1_000, 10_000));
        let code = |page: Result<Page<i64>, Error>| page.unwrap_err().code();
        for bad in ["-1", "10001", "x", "1.5", "99999999999999999999999"] {
            assert_eq!(
                code(page(None, Some(bad))),
                crate::Code::Unacceptable,
                "{bad}"
            );
        }
        assert_eq!(code(page(Some("0"), None)), crate::Code::Unacceptable);
        let plain = |offset| Page::<i64>::parse(Paging::PLAIN, None, None, Some(offset));
        assert_eq!(plain("0").unwrap().offset, 0);
        for ignored in ["1", "-1", "x"] {
            assert_eq!(code(plain(ignored)), crate::Code::Malformed, "{ignored}");
        }
    }

    #[test]
    fn a_cursor_holds_nothing_that_a_store_does_not_take() {
        let texts = |cursor: &str| {
            let cursor = URL_SAFE_NO_PAD.encode(cursor);
            Page::<String>::parse(Paging::PLAIN, None, Some(&cursor), None)
        };
        assert_eq!(texts(r#""\u0001 x""#).unwrap().after.unwrap(), "\u{1} x");
        for bad in [r#""\u0000""#, r#""a\u0000b""#, "\"\0\"", r#""\ud800""#] {
            assert!(texts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_holds_no_time_that_a_store_does_not_know() {
        let times = |micros: i64| {
            let cursor = encode(&(micros, 1)).unwrap();
            Page::<(CursorTime, i64)>::parse(Paging::PLAIN, None, Some(&cursor), None)
        };
        let now = crate::clock::now();
        let page = times(now.timestamp_micros()).unwrap();
        assert_eq!(page.after.unwrap().0.time(), now);
        for bad in [i64::MIN, -1, 253_402_300_800_000_000, i64::MAX] {
            assert!(times(bad).is_err(), "{bad}");
        }
    }
}
