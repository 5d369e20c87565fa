//! Paging (D7): `limit` and an opaque `cursor` in, `Link: <…>; rel="next"` out.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, header};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Answer, Error, Request};

/// Items of a page when the caller does not say.
pub const DEFAULT_LIMIT: u64 = 50;
/// Items of a page at most; a larger `limit` means this one.
pub const MAX_LIMIT: u64 = 200;

/// Which part of a list is asked for; `K` is the key of the last item of the page before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<K> {
    /// 1 to [`MAX_LIMIT`].
    pub limit: u64,
    /// Items after this key, in the list's own order; `None` for the first page.
    pub after: Option<K>,
}

impl<K: Serialize + DeserializeOwned> Page<K> {
    pub(crate) fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Self, Error> {
        let limit = match limit.map(str::parse::<u64>) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if limit >= 1 => limit.min(MAX_LIMIT),
            Some(_) => {
                return Err(Error::malformed(format!(
                    "limit must be a number from 1 to {MAX_LIMIT}"
                )));
            }
        };
        let after = cursor.map(decode).transpose()?;
        Ok(Self { limit, after })
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
            .filter(|(name, _)| name != "cursor" && name != "limit")
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
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| Error::malformed("cursor is not one that this list gave out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d7_limits_are_bounded_and_cursors_must_be_ours() {
        let page = |limit, cursor| Page::<i64>::parse(limit, cursor);
        assert_eq!(page(None, None).unwrap().limit, 50);
        assert_eq!(page(Some("100000"), None).unwrap().limit, 200);
        for bad in ["0", "-1", "x", "1e3", "99999999999999999999999"] {
            assert_eq!(
                page(Some(bad), None).unwrap_err().code(),
                crate::Code::Malformed,
                "{bad}"
            );
        }
        for bad in ["", "x", "bm90IGpzb24", "eyJhIjoxfQ"] {
            assert!(page(None, Some(bad)).is_err(), "{bad}");
        }
        let cursor = encode(&17_i64).unwrap();
        assert_eq!(page(None, Some(&cursor)).unwrap().after, Some(17));
    }
}
