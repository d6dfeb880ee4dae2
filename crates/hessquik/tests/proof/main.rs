//! The proof that values, derivatives and gradients are right, as one program so that the engine is compiled once.
//!
//! | module | against |
//! |---|---|
//! | [`golden`] | what hessQuik itself computed |
//! | [`graphs`] | hyper-dual numbers, and the same layers in the one form |
//! | [`narrow`] | hyper-dual numbers, where samples go side by side |
//! | [`random_networks`] | hyper-dual numbers and finite differences |
//! | [`requests`] | sums over the oracle's full derivatives |
//! | [`pullback`] | dual numbers over hyper-dual ones, and finite differences |
//! | [`small`] | each mode against the others, of a size that Miri runs |
//! | [`compose`] | the network that the layers compose to |
//! | [`many_products`] | the Hessian times the vectors |
//! | [`operators`] | dual numbers nested in dual numbers, and a function whose derivatives are known |
//! | [`outputs`] | fresh arrays, to the last bit |
//! | [`threads`] | one thread and a fresh network, to the last bit |
//! | [`hostile`], [`lying_layers`] | the error, or the bits, that there should be |
//! | [`wide`] | finite differences, and one thread, where weights leave the caches |
//! | [`user_layers`] | the same oracles, for what users write |
#[path = "../as_graph/mod.rs"]
mod as_graph;
mod common;
mod compose;
mod golden;
mod graphs;
mod hostile;
mod lying_layers;
mod many_products;
mod narrow;
mod operators;
mod outputs;
mod pullback;
mod pushforward;
mod random_networks;
mod requests;
mod small;
mod threads;
mod user_layers;
mod wide;
