//! Several operands broadcast to one shape.
use super::super::call::{Call, Outcome};
use super::super::value::{Batch, Element, Value, count, local};
use crate::Var;
use crate::graph::broadcast;
use ndarray::{ArrayD, IxDyn, Zip};

/// Operands, and the shape and place of the points of what they give together.
pub(super) struct Together {
    pub values: Vec<Value>,
    pub shape: Vec<usize>,
    pub batch: Option<Batch>,
}

/// Operands as numpy broadcasts them; each may have points along the same axis, or none.
pub(super) fn together(call: &Call, operands: &[&Value]) -> Result<Together, String> {
    let rank = operands.iter().map(|v| v.rank()).max().unwrap_or(0);
    let mut batch: Option<Batch> = None;
    for value in operands {
        if let Some(own) = value.batch {
            let own = Batch { axis: own.axis + rank - value.rank(), ..own };
            if batch.is_some_and(|other| other != own) {
                return Err("brings different points together: a network must map each point by itself".into());
            }
            batch = Some(own);
        }
    }
    let mut values = Vec::with_capacity(operands.len());
    let mut shape = vec![1; rank];
    for value in operands {
        let missing = rank - value.rank();
        let mut value = (*value).clone();
        if let (Some(batch), None) = (batch, value.batch)
            && batch.axis >= missing
            && value.shape[batch.axis - missing] != 1
        {
            value = call.of_one(&value, batch.axis - missing, batch)?;
        }
        shape = broadcast(&shape, &value.shape).ok_or("has shapes that do not broadcast")?;
        values.push(value);
    }
    Ok(Together { values, shape, batch })
}

impl Together {
    /// The shape at one point.
    pub fn local(&self) -> Vec<usize> {
        local(&self.shape, self.batch)
    }

    /// The operands as variables of the common shape.
    pub fn vars(&self, call: &Call) -> Result<Vec<Var<f64>>, String> {
        let shape = self.local();
        call.roomy(count(&shape))?;
        self.values.iter().map(|value| Ok(call.var(value)?.broadcast_to(&shape))).collect()
    }

    /// A function of two operands that are known, entry by entry.
    pub fn known(&self, call: &Call, element: Element, f: impl Fn(f64, f64) -> f64) -> Option<Outcome> {
        let [a, b] = &self.values[..] else { return None };
        let (a, b) = (a.numbers()?, b.numbers()?);
        let shape = self.local();
        if let Err(message) = call.known_room(count(&shape)) {
            return Some(Err(message));
        }
        let (Some(a), Some(b)) = (a.broadcast(IxDyn(&shape)), b.broadcast(IxDyn(&shape))) else {
            return Some(Err("has shapes that do not broadcast".into()));
        };
        let mut out = ArrayD::zeros(IxDyn(&shape));
        Zip::from(&mut out).and(a).and(b).for_each(|out, &a, &b| *out = f(a, b));
        let numbers = out.into_raw_vec_and_offset().0;
        Some(Ok(vec![Value::known_at(&self.shape, self.batch, numbers, element)]))
    }
}
