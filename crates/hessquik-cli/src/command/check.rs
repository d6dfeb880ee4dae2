//! `hessquik check`
use super::Report;
use crate::args::Check;
use crate::failure::Failure;
pub fn run(args: &Check) -> Result<Report, Failure> {
    let _ = args;
    todo!()
}
