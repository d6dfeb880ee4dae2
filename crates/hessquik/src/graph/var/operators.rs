//! Sums, products and quotients of variables, and activations under their own names.
use super::{Var, broadcast};
use crate::graph::{Kind, Term};
use crate::{Activation, Real};
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::panic::Location;

impl<F: Real> Var<F> {
    fn times(&self, other: &Self, at: &Location<'_>) -> Self {
        match self.paired(other, "*", at) {
            Some((a, b)) => {
                let shape = a.shape.clone();
                a.push(Kind::Times { a: a.id, b: b.id }, shape)
            }
            None => self.zeros(&self.shape),
        }
    }

    fn plus(&self, other: &Self, c: F, sign: &str, at: &Location<'_>) -> Self {
        match self.paired(other, sign, at) {
            Some((a, b)) => {
                let shape = a.shape.clone();
                let term = |of, c| Term { of, c, blocks: None };
                a.push(Kind::Affine { terms: vec![term(a.id, F::one()), term(b.id, c)], shift: F::zero() }, shape)
            }
            None => self.zeros(&self.shape),
        }
    }

    fn paired(&self, other: &Self, sign: &str, at: &Location<'_>) -> Option<(Self, Self)> {
        match broadcast(&self.shape, &other.shape) {
            Some(shape) => Some((self.broadcast_to(&shape), other.broadcast_to(&shape))),
            None => {
                self.fail(at, format!("{sign}: shapes {:?} and {:?} do not fit", self.shape, other.shape));
                None
            }
        }
    }
}

/// Operators of variables by value and by reference.
macro_rules! binary {
    ($trait:ident $method:ident, |$a:ident, $b:ident, $at:ident| $body:expr) => {
        binary!(@one $trait $method, Var<F>, Var<F>, |$a, $b, $at| $body);
        binary!(@one $trait $method, Var<F>, &Var<F>, |$a, $b, $at| $body);
        binary!(@one $trait $method, &Var<F>, Var<F>, |$a, $b, $at| $body);
        binary!(@one $trait $method, &Var<F>, &Var<F>, |$a, $b, $at| $body);
    };
    (@one $trait:ident $method:ident, $left:ty, $right:ty, |$a:ident, $b:ident, $at:ident| $body:expr) => {
        impl<F: Real> $trait<$right> for $left {
            type Output = Var<F>;
            #[track_caller]
            fn $method(self, other: $right) -> Var<F> {
                let ($a, $b, $at): (&Var<F>, &Var<F>, _) = (&self, &other, Location::caller());
                $body
            }
        }
    };
}
binary!(Add add, |a, b, at| a.plus(b, F::one(), "+", at));
binary!(Sub sub, |a, b, at| a.plus(b, -F::one(), "-", at));
binary!(Mul mul, |a, b, at| a.times(b, at));

/// Operators of variables with numbers and with weights by name.
macro_rules! mixed {
    ($($var:ty),*) => {$(
        impl<F: Real> Add<f64> for $var {
            type Output = Var<F>;
            fn add(self, c: f64) -> Var<F> {
                self.affine(F::one(), F::of(c))
            }
        }
        impl<F: Real> Sub<f64> for $var {
            type Output = Var<F>;
            fn sub(self, c: f64) -> Var<F> {
                self.affine(F::one(), F::of(-c))
            }
        }
        impl<F: Real> Mul<f64> for $var {
            type Output = Var<F>;
            fn mul(self, c: f64) -> Var<F> {
                self.affine(F::of(c), F::zero())
            }
        }
        impl<F: Real> Div<f64> for $var {
            type Output = Var<F>;
            fn div(self, c: f64) -> Var<F> {
                self.affine(F::one() / F::of(c), F::zero())
            }
        }
        impl<F: Real> Add<$var> for f64 {
            type Output = Var<F>;
            fn add(self, v: $var) -> Var<F> {
                v.affine(F::one(), F::of(self))
            }
        }
        impl<F: Real> Sub<$var> for f64 {
            type Output = Var<F>;
            fn sub(self, v: $var) -> Var<F> {
                v.affine(-F::one(), F::of(self))
            }
        }
        impl<F: Real> Mul<$var> for f64 {
            type Output = Var<F>;
            fn mul(self, v: $var) -> Var<F> {
                v.affine(F::of(self), F::zero())
            }
        }
        impl<F: Real> Neg for $var {
            type Output = Var<F>;
            fn neg(self) -> Var<F> {
                self.affine(-F::one(), F::zero())
            }
        }
        impl<F: Real> Add<&str> for $var {
            type Output = Var<F>;
            #[track_caller]
            fn add(self, name: &str) -> Var<F> {
                let weight = self.weight(name);
                self.plus(&weight, F::one(), "+", Location::caller())
            }
        }
        impl<F: Real> Mul<&str> for $var {
            type Output = Var<F>;
            #[track_caller]
            fn mul(self, name: &str) -> Var<F> {
                let weight = self.weight(name);
                self.times(&weight, Location::caller())
            }
        }
    )*};
}
mixed!(Var<F>, &Var<F>);
binary!(Div div, |a, b, at| a.times(&b.recip(), at));

/// Activations under their own names.
macro_rules! pointwise {
    ($($(#[doc = $doc:literal])* $name:ident => $act:expr;)*) => {
        impl<F: Real> Var<F> {
            $(
                $(#[doc = $doc])*
                pub fn $name(&self) -> Self {
                    self.act($act)
                }
            )*
        }
    };
}
pointwise! {
    /// tanh of every entry.
    tanh => Activation::Tanh;
    /// sin of every entry.
    sin => Activation::Sin;
    /// cos of every entry.
    cos => Activation::Cos;
    /// `1/(1 + exp(-u))` of every entry.
    sigmoid => Activation::Sigmoid;
    /// `u/(1 + exp(-u))` of every entry.
    silu => Activation::Silu;
    /// `ln(1 + exp(u))` of every entry.
    softplus => Activation::softplus();
    /// exp of every entry.
    exp => Activation::Exp;
    /// The natural logarithm of every entry; NaN below zero.
    ln => Activation::Log;
    /// The square root of every entry; NaN below zero.
    sqrt => Activation::Sqrt;
    /// `1/u` of every entry.
    recip => Activation::Reciprocal;
    /// `u^2` of every entry.
    square => Activation::Square;
    /// The error function of every entry.
    erf => Activation::Erf;
    /// The inverse tangent of every entry.
    atan => Activation::Atan;
}
