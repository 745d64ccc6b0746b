//! As much of DNS as a resolver for a handful of names needs: queries for A and AAAA, one question each.

use std::collections::BTreeMap;
use std::net::IpAddr;

const A: u16 = 1;
const AAAA: u16 = 28;
const CLASS_IN: u16 = 1;
/// Response, recursion desired and available.
const ANSWERED: u16 = 0x8180;
const NAME_ERROR: u16 = 3;
const HEADER: usize = 12;
/// Seconds a client may keep an answer.
const TTL: u32 = 5;

/// A query for the A record of a name.
pub(super) fn query(id: u16, name: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    for word in [id, 0x0100, 1, 0, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        // DNS knows labels of up to 63 bytes; a longer one can name nothing.
        let label = label.get(..label.len().min(63)).unwrap_or("");
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(A.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    message
}

/// The answer to a query; `None` for what is no query.
pub(super) fn answer(query: &[u8], names: &BTreeMap<String, Vec<IpAddr>>) -> Option<Vec<u8>> {
    if query.len() < HEADER || query[2] & 0x80 != 0 {
        return None;
    }
    let (name, end) = question_name(query)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let question = query.get(HEADER..end + 4)?;
    let found = names.get(&name);
    let records: Vec<Vec<u8>> =
        found.into_iter().flatten().filter_map(|address| record(*address, kind)).collect();
    let status = if found.is_some() { ANSWERED } else { ANSWERED | NAME_ERROR };
    let count = u16::try_from(records.len()).ok()?;
    let mut message = query.get(..2)?.to_vec();
    for word in [status, 1, count, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(question);
    message.extend(records.concat());
    Some(message)
}

/// Whether a message is a good answer to the query with this id, with at least one record.
pub(super) fn is_answer(message: &[u8], id: u16) -> bool {
    message.len() > HEADER
        && message[..2] == id.to_be_bytes()
        && message[2] & 0x80 != 0
        && message[3] & 0x0F == 0
        && u16::from_be_bytes([message[6], message[7]]) > 0
}

fn record(address: IpAddr, kind: u16) -> Option<Vec<u8>> {
    let data = match (address, kind) {
        (IpAddr::V4(address), A) => address.octets().to_vec(),
        (IpAddr::V6(address), AAAA) => address.octets().to_vec(),
        _ => return None,
    };
    // The name is a pointer to the one in the question.
    let mut record = vec![0xC0, 0x0C];
    record.extend(kind.to_be_bytes());
    record.extend(CLASS_IN.to_be_bytes());
    record.extend(TTL.to_be_bytes());
    record.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
    record.extend(data);
    Some(record)
}

/// The name in the question, in lower case, and where its type follows.
fn question_name(message: &[u8]) -> Option<(String, usize)> {
    let mut at = HEADER;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        if length > 63 {
            return None;
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> BTreeMap<String, Vec<IpAddr>> {
        let addresses = vec![IpAddr::from([203, 0, 113, 7]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1])];
        BTreeMap::from([("fapi.example.com".to_owned(), addresses)])
    }

    #[test]
    fn known_name_is_answered_with_its_address() {
        let reply = answer(&query(7, "FAPI.example.com."), &names()).unwrap();
        assert!(is_answer(&reply, 7));
        assert!(reply.ends_with(&[0, 4, 203, 0, 113, 7]));
    }

    #[test]
    fn unknown_name_is_answered_with_name_error() {
        let reply = answer(&query(7, "nowhere.example.com"), &names()).unwrap();
        assert!(!is_answer(&reply, 7));
        assert_eq!(reply[3] & 0x0F, 3);
    }

    #[test]
    fn an_answer_to_another_query_is_no_answer() {
        let reply = answer(&query(7, "fapi.example.com"), &names()).unwrap();
        assert!(!is_answer(&reply, 8));
    }

    #[test]
    fn truncated_and_looping_messages_are_no_queries() {
        let whole = query(7, "fapi.example.com");
        for length in 0..whole.len() {
            assert!(answer(&whole[..length], &names()).is_none());
        }
        let mut pointer = whole;
        pointer[HEADER] = 0xC0;
        assert!(answer(&pointer, &names()).is_none());
    }
}
