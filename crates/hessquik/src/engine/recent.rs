//! What was found for the last requests, kept with them.
use crate::{Real, Request};

/// How many are kept.
pub(super) const KEPT: usize = 8;

/// Requests, each for a pullback or not, with what was found; the one used last first.
#[derive(Debug)]
pub(super) struct Recent<F, T>(Vec<(Request<F>, bool, T)>);

impl<F, T> Default for Recent<F, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Real, T: Clone> Recent<F, T> {
    /// What is kept for a request, which is then the last used.
    pub fn find(&mut self, request: &Request<F>, reverse: bool) -> Option<T> {
        let at = self.0.iter().position(|(known, of, _)| *of == reverse && known.same(request))?;
        self.0[..=at].rotate_right(1);
        Some(self.0[0].2.clone())
    }

    /// Keeps it as the last used; the one not used for longest goes.
    pub fn keep(&mut self, request: &Request<F>, reverse: bool, found: T) {
        self.0.truncate(KEPT - 1);
        self.0.insert(0, (request.clone(), reverse, found));
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
