//! The built-in activations under the names of the tables; softplus without a threshold, so that its value is the formula's
//! everywhere, and once as hessQuik has it.
use hessquik::Activation;

/// Names and activations.
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
        ("softplus_default", Activation::softplus()),
        ("tanh", Activation::Tanh),
        ("sin", Activation::Sin),
        ("silu", Activation::Silu),
        ("gelu", Activation::Gelu),
        ("gaussian", Activation::Gaussian),
    ]
}
