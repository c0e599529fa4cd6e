//! Where a command writes: results to the output, everything else to the errors.

use std::io::{self, Read, Write};

use serde::Serialize;

use super::escape::escape;
use super::json::to_json;
use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::surroundings::Surroundings;

/// The two streams and the manner of writing to them.
pub(crate) struct Console {
    input: Box<dyn Read + Send>,
    output: Box<dyn Write + Send>,
    errors: Box<dyn Write + Send>,
    pub(crate) format: Format,
    pub(crate) input_is_terminal: bool,
    pub(crate) output_is_terminal: bool,
    pub(crate) errors_are_terminal: bool,
    /// `--id`: the output holds one id and nothing else; what is told goes to the errors.
    pub(crate) id_only: bool,
    colour: bool,
}

impl Console {
    /// Takes the streams out of the surroundings.
    pub(crate) fn new(surroundings: &mut Surroundings, format: Format) -> Self {
        let plain = surroundings.variable("NO_COLOR").is_some()
            || surroundings.variable("TERM") == Some("dumb");
        Self {
            input: std::mem::replace(&mut surroundings.input, Box::new(io::empty())),
            output: std::mem::replace(&mut surroundings.output, Box::new(io::sink())),
            errors: std::mem::replace(&mut surroundings.errors, Box::new(io::sink())),
            format,
            input_is_terminal: surroundings.input_is_terminal,
            output_is_terminal: surroundings.output_is_terminal,
            errors_are_terminal: surroundings.errors_are_terminal,
            id_only: false,
            colour: surroundings.errors_are_terminal && !plain,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a result: as text by `text`, or as JSON. Text must be escaped already.
    pub(crate) fn result<T: Serialize>(
        &mut self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let out = match self.format {
            Format::Json => to_json(value),
            Format::Text => text(value),
        };
        self.write(&out)
    }

    /// Prints the one document of a command that has told its text as it went along.
    pub(crate) fn document<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        if self.is_json() {
            return self.write(&to_json(value));
        }
        Ok(())
    }

    /// Writes text that somebody else wrote: as it is into a pipe, harmless on a terminal.
    pub(crate) fn write_file(&mut self, text: &str) -> Result<(), Failure> {
        if !self.output_is_terminal {
            return self.write(text);
        }
        let lines: String = text.lines().map(|line| escape(line) + "\n").collect();
        self.write(&lines)
    }

    /// Writes to the output as it is.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.output.write_all(text.as_bytes());
        written
            .and_then(|()| self.output.flush())
            .map_err(|error| unwritable(&error))
    }

    /// Begins to tell a step: `Setting FOO... `, to be ended by [`Console::end_step`]. Programs that
    /// read JSON are told nothing until the end.
    pub(crate) fn step(&mut self, text: &str) -> Result<(), Failure> {
        self.tell(&escape(text))
    }

    /// Ends a step; the line of one that failed ends without `OK`, before the error.
    pub(crate) fn end_step<T>(&mut self, ended: &Result<T, Failure>) -> Result<(), Failure> {
        self.tell(if ended.is_ok() { "OK\n" } else { "\n" })
    }

    /// Tells one line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.tell(&format!("{}\n", escape(text)))
    }

    /// Prints the id that `--id` asked for.
    pub(crate) fn id(&mut self, id: &str) -> Result<(), Failure> {
        if self.id_only && !self.is_json() {
            return self.write(&format!("{}\n", escape(id)));
        }
        Ok(())
    }

    fn tell(&mut self, text: &str) -> Result<(), Failure> {
        if self.is_json() {
            return Ok(());
        }
        if self.id_only {
            // A closed error stream is no reason to stop.
            let _ = self.errors.write_all(text.as_bytes());
            let _ = self.errors.flush();
            return Ok(());
        }
        self.write(text)
    }

    /// A remark beside the result, one line. A closed error stream is no reason to stop.
    pub(crate) fn remark(&mut self, text: &str) {
        let _ = writeln!(self.errors, "{}", escape(text));
    }

    /// Part of a line beside the result, to be ended by another.
    pub(crate) fn remark_part(&mut self, text: &str) {
        let _ = write!(self.errors, "{}", escape(text));
        let _ = self.errors.flush();
    }

    /// Prints why the command failed.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if failure.what.is_empty() {
            return;
        }
        if self.is_json() {
            let _ = self
                .errors
                .write_all(to_json(&json_failure(failure)).as_bytes());
            return;
        }
        let (red, dim, end) = if self.colour {
            ("\x1b[1;31m", "\x1b[2m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        let mut lines = failure.what.lines();
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(self.errors, "{red}error:{end} {}", escape(first));
        for line in lines {
            let _ = writeln!(self.errors, "  {}", escape(line));
        }
        if let Some(hint) = failure.printed_hint() {
            let _ = writeln!(self.errors, "{dim}hint:{end} {}", escape(&hint));
        }
    }

    /// Reads one line of the input, without its end.
    pub(crate) fn read_line(&mut self) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        let mut byte = [0];
        // The input may be shared with what runs after us: take no more than the line.
        while bytes.len() < 4096 {
            match self.input.read(&mut byte) {
                Ok(0) => break,
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) => bytes.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Ok(String::from_utf8_lossy(&bytes)
            .trim_end_matches('\r')
            .to_owned())
    }

    /// Reads all of the input, at most 1 MiB.
    pub(crate) fn read_all(&mut self) -> Result<String, Failure> {
        let mut text = String::new();
        let limited = (&mut self.input).take(1 << 20).read_to_string(&mut text);
        limited.map(|_| text).map_err(|error| unreadable(&error))
    }
}

fn unwritable(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        // Whoever reads has seen enough (`fleet events | head`): leave without a word.
        return Failure::new(Exit::Done, "", "");
    }
    Failure::failed(format!("cannot write the result: {error}"))
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::failed(format!("cannot read standard input: {error}"))
}

fn json_failure(failure: &Failure) -> impl Serialize + use<> {
    serde_json::json!({
        "error": {
            "exit_code": failure.exit.code(),
            "reason": failure.reason,
            "message": failure.what,
            "hint": failure.hint,
            "candidates": failure.candidates,
        }
    })
}
