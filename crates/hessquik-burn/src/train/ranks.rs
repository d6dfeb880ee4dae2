//! The processes that train together.

/// Processes that train one network on shares of each batch and sum their results.
pub trait Ranks {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Replaces numbers by their sums over all processes; the sums are bitwise the same in each.
    fn sum(&self, numbers: &mut [f64]);
}

/// A single process.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn sum(&self, _: &mut [f64]) {}
}

/// The processes that `mpirun` started.
#[cfg(feature = "mpi")]
pub struct Mpi {
    world: mpi::topology::SimpleCommunicator,
    // MPI ends when this is dropped
    _universe: mpi::environment::Universe,
}

#[cfg(feature = "mpi")]
impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mpi(rank {} of {})", self.rank(), self.size())
    }
}

#[cfg(feature = "mpi")]
impl Mpi {
    /// Starts MPI; `None` if it was already started in this process.
    pub fn start() -> Option<Self> {
        let universe = mpi::initialize()?;
        Some(Self { world: universe.world(), _universe: universe })
    }
}

#[cfg(feature = "mpi")]
impl Ranks for Mpi {
    fn rank(&self) -> usize {
        use mpi::traits::Communicator;
        self.world.rank() as usize
    }
    fn size(&self) -> usize {
        use mpi::traits::Communicator;
        self.world.size() as usize
    }
    fn sum(&self, numbers: &mut [f64]) {
        use mpi::traits::CommunicatorCollectives;
        let own = numbers.to_vec();
        self.world.all_reduce_into(&own[..], numbers, mpi::collective::SystemOperation::sum());
    }
}
