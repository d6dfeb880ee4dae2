//! The built-in activations and how exact they are promised to be: for the tests here and for `hardening ulp`.
use hessquik::Activation;

/// The built-in activations by their name in the reference file; softplus without a threshold.
pub fn builtin() -> Vec<(&'static str, Activation)> {
    let softplus = |beta| Activation::Softplus { beta, threshold: f64::INFINITY };
    vec![
        ("anti_tanh", Activation::AntiTanh),
        ("identity", Activation::Identity),
        ("quadratic", Activation::Quadratic),
        ("sigmoid", Activation::Sigmoid),
        ("softplus_0.1", softplus(0.1)),
        ("softplus_1", softplus(1.0)),
        ("softplus_3", softplus(3.0)),
        ("softplus_50", softplus(50.0)),
        ("tanh", Activation::Tanh),
        ("sin", Activation::Sin),
        ("silu", Activation::Silu),
        ("gelu", Activation::Gelu),
        ("gaussian", Activation::Gaussian),
    ]
}

#[allow(dead_code)] // not every test asks for it
/// The largest error allowed at each order, in ulp, in double and in single precision.
pub fn bounds(name: &str) -> ([f64; 4], [f64; 4]) {
    match name {
        "identity" => ([0.0; 4], [0.0; 4]),
        "quadratic" => ([0.5, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0]),
        "sin" => ([1.0; 4], [0.51; 4]),
        "gaussian" => ([1.0, 1.5, 2.5, 3.0], [1.0, 2.0, 2.5, 3.5]),
        "gelu" => ([2.5, 3.0, 3.0, 3.5], [3.5, 4.0, 4.0, 4.0]),
        "silu" => ([2.0, 3.0, 3.0, 3.5], [3.0, 4.0, 4.0, 4.0]),
        _ => ([2.0, 3.0, 3.0, 3.5], [3.0, 3.5, 3.5, 4.0]),
    }
}
