//! Tests of one subject each, as one program so that the engine is compiled once. Those that read the repository's own
//! tables of numbers, or count what a process does, are programs of their own.
#[path = "../as_graph/mod.rs"]
mod as_graph;
mod check_orders;
mod estimate;
mod extremes;
mod given_up;
mod init;
mod operators;
mod overflow;
mod peaks;
mod places;
mod point_directions;
mod softmax;
mod steep_checks;
mod summaries;
