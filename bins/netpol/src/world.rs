//! What the commands about single connections share: the input with its needs, ready for questions.

use std::path::PathBuf;

use netpol::needs::{self, NeedsFile, WorkloadNeeds};
use netpol::{Input, Model, Options, ProblemKind, SourceFile};

use crate::args::WorldArgs;
use crate::commands::Exit;
use crate::failure::Failure;
use crate::io::Io;
use crate::load;

/// An input and how to understand it.
pub struct World {
    /// What was read.
    pub input: Input,
    /// Number of files under check: those after them are context.
    pub checked_files: usize,
    /// Profile, default namespace, assumptions.
    pub options: Options,
    needs_file: NeedsFile,
    /// Number of manifests; a needs file comes after them.
    manifests: usize,
}

impl World {
    /// Reads everything, and reports what could not be read.
    pub fn load(paths: &[PathBuf], args: &WorldArgs, io: &mut Io) -> Result<Self, Failure> {
        let loaded = load::load_paths(paths, args)?;
        let mut input = loaded.input;
        let manifests = input.files.len();
        let needs_file = loaded.needs.map(|source| NeedsFile::read(source, &mut input)).unwrap_or_default();
        for problem in &input.problems {
            writeln!(io.err, "{}: {}", input.locate(problem.span), problem.message)?;
        }
        Ok(Self {
            input,
            checked_files: loaded.checked_files,
            options: args.options(),
            needs_file,
            manifests,
        })
    }

    /// The input, ready for questions.
    pub fn model(&self) -> Model<'_> {
        Model::new(&self.input, &self.options)
    }

    /// Needs of all workloads, by their index.
    pub fn needs(&self) -> Vec<WorkloadNeeds> {
        needs::derive(&self.input, &self.options.default_namespace, &self.needs_file)
    }

    /// The manifests as texts, context included.
    pub fn manifests(&self) -> &[SourceFile] {
        self.input.files.get(..self.manifests).unwrap_or_default()
    }

    /// Declared needs.
    pub fn needs_file(&self) -> &NeedsFile {
        &self.needs_file
    }

    /// How the command ends when it would end with `exit`: a document that could not be read might have changed a good
    /// answer. Lesser problems were reported and change nothing.
    pub fn exit(&self, exit: Exit) -> Exit {
        let unread = self.input.problems.iter().any(|problem| {
            matches!(problem.kind, ProblemKind::Syntax | ProblemKind::Encoding | ProblemKind::Limit)
        });
        if unread && exit == Exit::Clean { Exit::InputProblems } else { exit }
    }
}

/// Writes a report as indented JSON.
pub fn write_json(io: &mut Io, report: &impl serde::Serialize) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut io.out, report).map_err(std::io::Error::from)?;
    writeln!(io.out)?;
    Ok(())
}
