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
        ("exp", Activation::Exp),
        ("cos", Activation::Cos),
        ("square", Activation::Square),
        ("power_3", Activation::Power { p: 3.0 }),
        ("power_-2", Activation::Power { p: -2.0 }),
        ("power_8", Activation::Power { p: 8.0 }),
        ("reciprocal", Activation::Reciprocal),
        ("erf", Activation::Erf),
        ("atan", Activation::Atan),
        ("elu", Activation::Elu { alpha: 1.0 }),
        ("elu_0.3", Activation::Elu { alpha: 0.3 }),
        ("celu_0.3", Activation::Celu { alpha: 0.3 }),
        ("celu_2", Activation::Celu { alpha: 2.0 }),
        ("selu", Activation::Selu),
        ("mish", Activation::Mish),
        ("squareplus_4", Activation::Squareplus { b: 4.0 }),
        ("squareplus_0.1", Activation::Squareplus { b: 0.1 }),
        ("tanh_gelu", Activation::TanhGelu),
        ("relu", Activation::Relu),
        ("leaky_relu", Activation::LeakyRelu { slope: 0.01 }),
        ("scaled_tanh", Activation::scaled(1.7159, Activation::Tanh, 2.0 / 3.0)),
        ("scaled_gelu", Activation::scaled(-0.7, Activation::Gelu, 1.3)),
    ]
}

/// Those that are NaN for negative points.
#[allow(dead_code)] // not every test asks for it
pub fn of_positive_points() -> Vec<(&'static str, Activation)> {
    let power = |p| Activation::Power { p };
    vec![
        ("log", Activation::Log),
        ("sqrt", Activation::Sqrt),
        ("power_2.5", power(2.5)),
        ("power_0.1", power(0.1)),
        ("power_-7.3", power(-7.3)),
    ]
}

/// What activations reach that are computed with more digits than the results have.
#[allow(dead_code)] // as `bounds`
const WIDE: ([f64; 4], [f64; 4]) = ([1.5, 2.0, 1.5, 2.5], [0.51; 4]);

#[allow(dead_code)] // not every test asks for it
/// The largest error allowed at each order, in ulp, in double and in single precision.
pub fn bounds(name: &str) -> ([f64; 4], [f64; 4]) {
    match name {
        "identity" => ([0.0; 4], [0.0; 4]),
        "quadratic" => ([0.5, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0]),
        "sin" | "cos" => ([1.0; 4], [0.51; 4]),
        "square" => ([0.5, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0]),
        // twice those of the activation within and one more; single precision is computed in double
        name if name.starts_with("scaled") => ([6.0, 7.0, 7.0, 8.0], [0.51; 4]),
        // in arithmetic with more digits
        "exp" | "log" | "sqrt" | "reciprocal" | "erf" | "atan" | "selu" | "mish" | "tanh_gelu" => WIDE,
        name if ["power", "elu", "celu", "squareplus"].iter().any(|start| name.starts_with(start)) => WIDE,
        "gaussian" => ([1.0, 1.5, 2.5, 3.0], [1.0, 2.0, 2.5, 3.5]),
        "gelu" => ([2.5, 3.0, 3.0, 3.5], [3.5, 4.0, 4.0, 4.0]),
        "silu" => ([2.0, 3.0, 3.0, 3.5], [3.0, 4.0, 4.0, 4.0]),
        _ => ([2.0, 3.0, 3.0, 3.5], [3.0, 3.5, 3.5, 4.0]),
    }
}
