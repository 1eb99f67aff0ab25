//! Where appointments come from. Each source reads its calendar and sends what it sees to the pipeline.

pub(crate) mod graph;
