//! Any bytes: reading never panics, stays within its limits, and every position is inside the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netpol::{Input, SourceFile};

fuzz_target!(|bytes: &[u8]| {
    let input = Input::parse([SourceFile::from_bytes("fuzz.yaml", bytes.to_vec())]);
    let text = input.files[0].text();
    let lines = input.files[0].lines().count();
    for problem in &input.problems {
        let span = problem.span;
        assert!(span.range().end <= text.len() || text.is_empty(), "{span:?} is outside of {} bytes", text.len());
        assert!(span.line >= 1 && span.column >= 1);
        assert!(text.is_empty() || span.line as usize <= lines, "{span:?} is outside of {lines} lines");
    }
    for workload in &input.workloads {
        for pair in &workload.pod.labels.pairs {
            assert!(text.get(pair.value.span.range()).is_some(), "{:?} cuts a character", pair.value.span);
        }
    }
});
