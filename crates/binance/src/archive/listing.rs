//! What the bucket of the archive holds, as S3 lists it.

use serde::Deserialize;

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Folders, each with the prefix that was asked for in front and a `/` at its end.
    pub folders: Vec<String>,
    /// Objects.
    pub objects: Vec<Object>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<String>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Object {
    /// Path from the root of the bucket, not percent-encoded.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was last replaced, RFC 3339.
    #[serde(default)]
    pub last_modified: String,
    /// Changes when the content does; in quotation marks.
    #[serde(rename = "ETag", default)]
    pub etag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    #[serde(default)]
    is_truncated: bool,
    next_marker: Option<String>,
    #[serde(default)]
    contents: Vec<Object>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

/// Reads one `ListBucketResult`.
///
/// S3 names the next marker only when a delimiter was asked for; otherwise the last key is it.
///
/// # Errors
/// What is wrong with the document, in words.
pub fn parse(xml: &[u8]) -> Result<Page, String> {
    let text = std::str::from_utf8(xml).map_err(|error| error.to_string())?;
    // The reader does not mind what the root is called, and an error document has one too.
    if !text.contains("<ListBucketResult") {
        return Err("no ListBucketResult in it".to_owned());
    }
    let list: ListBucketResult = quick_xml::de::from_str(text).map_err(|error| error.to_string())?;
    let folders: Vec<_> = list.common_prefixes.into_iter().map(|p| p.prefix).collect();
    let last = || {
        let key = list.contents.last().map(|object| object.key.clone());
        key.into_iter().chain(folders.last().cloned()).max()
    };
    let next = match list.next_marker {
        _ if !list.is_truncated => None,
        Some(marker) => Some(marker),
        None => Some(last().ok_or("it is truncated and empty")?),
    };
    Ok(Page { folders, objects: list.contents, next })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>data.binance.vision</Name>"#;

    fn page(body: &str) -> Result<Page, String> {
        parse(format!("{HEAD}{body}</ListBucketResult>").as_bytes())
    }

    #[test]
    fn objects_and_folders_are_read() {
        let page = page(
            "<Prefix>data/</Prefix><Marker></Marker><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>\
             <IsTruncated>false</IsTruncated>\
             <Contents><Key>data/A&amp;B.zip</Key><LastModified>2025-03-01T08:32:11.000Z</LastModified>\
             <ETag>&quot;0f3a&quot;</ETag><Size>123</Size><StorageClass>STANDARD</StorageClass></Contents>\
             <CommonPrefixes><Prefix>data/futures/</Prefix></CommonPrefixes>\
             <Contents><Key>data/币安.zip</Key><Size>4</Size></Contents>\
             <CommonPrefixes><Prefix>data/spot/</Prefix></CommonPrefixes>",
        )
        .unwrap();
        assert_eq!(page.folders, ["data/futures/", "data/spot/"]);
        let about: Vec<_> = page.objects.iter().map(|o| (o.key.as_str(), o.size, o.etag.as_str())).collect();
        assert_eq!(about, [("data/A&B.zip", 123, "\"0f3a\""), ("data/币安.zip", 4, "")]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn the_next_page_begins_after_the_marker_or_after_the_last_key() {
        let contents =
            "<Contents><Key>a</Key><Size>1</Size></Contents><Contents><Key>b</Key><Size>1</Size></Contents>";
        let next = |body: &str| page(body).unwrap().next;
        let truncated = "<IsTruncated>true</IsTruncated>";
        assert_eq!(next(&format!("{truncated}{contents}")), Some("b".into()));
        assert_eq!(next(&format!("{truncated}<NextMarker>x/</NextMarker>{contents}")), Some("x/".into()));
        assert_eq!(next(&format!("<NextMarker>x/</NextMarker>{contents}")), None);
        assert!(page(truncated).is_err());
    }

    #[test]
    fn error_documents_and_other_things_are_refused() {
        for text in [
            "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
            "<html><body>no</body></html>",
            "",
            "<ListBucketResult><Contents><Key>a</Key><Size>minus</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents>",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_document_makes_the_reader_panic(body in "[<>/&;\"=a-zA-Z0-9 ]{0,200}", parts in proptest::collection::vec(
            prop::sample::select(vec!["<Contents>", "</Contents>", "<Key>k</Key>", "<Size>1</Size>", "<CommonPrefixes>",
                "</CommonPrefixes>", "<Prefix>p/</Prefix>", "<IsTruncated>true</IsTruncated>", "&amp;", "<![CDATA[", "]]>", "<!--"]), 0..12)) {
            let _ = page(&format!("{}{body}", parts.concat()));
            let _ = parse(body.as_bytes());
        }
    }
}
