//! The committed tables are those that the generators and the real graphs give.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

const COMMITTED: &str = include_str!("../STATISTICS.md");

#[test]
fn the_families_are_as_the_table_says() {
    for line in common::family_table().lines() {
        assert!(
            COMMITTED.contains(line),
            "not in STATISTICS.md: {line}\nwrite the tables of the example `statistics` there anew"
        );
    }
}

#[test]
fn the_real_graphs_are_as_the_table_says() {
    if common::real_graphs().is_empty() {
        println!("SKIPPED: no real graph in ../shared/data");
        return;
    }
    for line in common::real_table().lines() {
        assert!(COMMITTED.contains(line), "not in STATISTICS.md: {line}");
    }
}
