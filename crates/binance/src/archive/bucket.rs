//! Asking the bucket what it holds.

use kline::{Market, Series};

use super::client::Sink;
use super::listing::{self, Object};
use super::{Archive, ArchiveError, ArchiveFile, file};
use crate::FetchError;
use crate::error::excerpt;

/// A page of a listing holds at most 1000 entries.
const MOST_LISTING: usize = 4 * 1024 * 1024;
/// Far more pages than any folder of the archive has.
const MOST_PAGES: usize = 1000;

impl Archive {
    /// Everything below a prefix: folders when `folders` is true, else objects however deep.
    ///
    /// # Errors
    /// [`FetchError`], also when the listing goes in circles.
    pub async fn list(&self, prefix: &str, folders: bool) -> Result<listing::Page, FetchError> {
        let mut all = listing::Page::default();
        let mut marker: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut url = self.listing_url().clone();
            {
                let mut query = url.query_pairs_mut();
                if folders {
                    query.append_pair("delimiter", "/");
                }
                query.append_pair("prefix", prefix);
                if let Some(marker) = &marker {
                    query.append_pair("marker", marker);
                }
            }
            let what = format!("list of {prefix}");
            let mut body = Vec::new();
            let malformed = |detail: String, body: &[u8]| FetchError::Malformed {
                what: what.clone(),
                detail,
                received: excerpt(body),
            };
            let found = self.fetch(&url, &what, &mut Sink::Memory(&mut body, MOST_LISTING)).await;
            match found {
                Err(ArchiveError::Fetch(error)) => return Err(error.as_ref().clone()),
                Err(error) => return Err(malformed(error.to_string(), &body)),
                Ok(false) => return Err(malformed("HTTP 404".to_owned(), &body)),
                Ok(true) => {}
            }
            let page = listing::parse(&body).map_err(|detail| malformed(detail, &body))?;
            all.folders.extend(page.folders);
            all.objects.extend(page.objects);
            match page.next {
                None => return Ok(all),
                next if next <= marker => return Err(malformed("the pages go in circles".into(), &body)),
                next => marker = next,
            }
        }
        let detail = format!("more than {MOST_PAGES} pages");
        Err(FetchError::Malformed { what: format!("list of {prefix}"), detail, received: String::new() })
    }

    /// Names of all symbols the archive has klines of, those no longer traded included, in order. What looks like no symbol
    /// is left out.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn symbols(&self, market: Market) -> Result<Vec<kline::Symbol>, FetchError> {
        let mut symbols = Vec::new();
        for monthly in [true, false] {
            let prefix = file::symbols_folder(market, monthly);
            let page = self.list(&prefix, true).await?;
            let names = page.folders.iter().filter_map(|f| f.strip_prefix(&prefix)?.strip_suffix('/'));
            symbols.extend(names.filter_map(|name| kline::Symbol::new(name).ok()));
        }
        symbols.sort_unstable();
        symbols.dedup();
        Ok(symbols)
    }

    /// The files of a series, with what the bucket says about each, in order of their names.
    ///
    /// # Errors
    /// [`FetchError`]
    pub async fn files(
        &self,
        series: &Series,
        monthly: bool,
    ) -> Result<Vec<(ArchiveFile, Object)>, FetchError> {
        let page = self.list(&file::folder(series, monthly), false).await?;
        let zips = page.objects.into_iter().filter_map(|object| match ArchiveFile::of_key(&object.key)? {
            (file, false) => Some((file, object)),
            _ => None,
        });
        Ok(zips.collect())
    }
}
