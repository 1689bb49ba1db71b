//! The figures of real call graphs and of the families, side by side: `cargo run --release -p foremesh-scenarios --example
//! statistics` prints the tables of `STATISTICS.md`. Real graphs come from `../shared/data`; without it only the families are told.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "../tests/common/mod.rs"]
mod common;

fn main() {
    println!("{}", common::real_table());
    println!("{}", common::family_table());
    println!("{}", common::fan_out_table());
}
