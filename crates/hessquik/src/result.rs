//! The one list of the results that a request can ask for.
use crate::{Error, Real, Request, did_you_mean};
use std::fmt;
use std::str::FromStr;

macro_rules! fields {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal $(=> $ask:ident)?;)*) => {
        /// The results of a request, as [`Jet`](crate::Jet) names them, in its order.
        ///
        /// ```
        /// use hessquik::{Field, Request};
        /// let laplacian: Field = "laplacian".parse()?;
        /// assert_eq!((laplacian, laplacian.name()), (Field::Laplacian, "laplacian"));
        /// assert_eq!(laplacian.ask(Request::<f64>::new()), Some(Request::new().laplacian()));
        /// // which partials?
        /// assert_eq!(Field::Partials.ask(Request::<f64>::new()), None);
        /// assert!("laplace".parse::<Field>().is_err());
        /// # Ok::<(), hessquik::Error>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Field {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Field {
            /// The number of results.
            pub const COUNT: usize = [$($name),*].len();

            /// All results.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// The name, as users write it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// `request` with this result added; `None` if the result needs more than its name, such as a list of
            /// entries.
            pub fn ask<F: Real>(self, request: Request<F>) -> Option<Request<F>> {
                match self {
                    $($(Self::$variant => Some(request.$ask()),)?)*
                    _ => None,
                }
            }
        }
    };
}

fields! {
    /// The value (n_s, m).
    Value "value" => value;
    /// The gradient (n_s, d, m).
    Gradient "gradient" => gradient;
    /// The Hessian (n_s, d, d, m).
    Hessian "hessian" => hessian;
    /// The upper triangle of the Hessian, row by row.
    Packed "packed" => packed;
    /// The diagonal of the Hessian.
    Diagonal "diagonal" => diagonal;
    /// The Laplacian (n_s, m).
    Laplacian "laplacian" => laplacian;
    /// tr(B H) with a matrix B.
    Operator "operator";
    /// Products of the Hessian with vectors.
    Products "products";
    /// A block of the Hessian.
    Block "block";
    /// Single partial derivatives, of any orders.
    Partials "partials";
    /// The Hessian in factors.
    Factored "factored" => factored;
    /// Derivatives along directions, of orders 1 to K.
    Directional "directional";
    /// The Laplacian of the Laplacian (n_s, m).
    Bilaplacian "bilaplacian" => bilaplacian;
}

impl Field {
    /// Whether the result needs only its name, like the Laplacian; a list of entries needs more.
    pub fn is_plain(self) -> bool {
        self.ask(Request::<f64>::new()).is_some()
    }

    /// The results that need only their name.
    pub fn plain() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|field| field.is_plain())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|field| field.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name);
            let meant = did_you_mean(name, known);
            Error::Request(format!("unknown result {name:?}; known are {}{meant}", known.join(", ")))
        })
    }
}
