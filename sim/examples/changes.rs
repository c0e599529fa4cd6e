#![allow(clippy::print_stdout)]
use fleet_sim::contender::Contender;
use fleet_sim::{load, world};
fn main() {
    let name = std::env::args().nth(1).unwrap();
    for trace in load::traces(1).iter().filter(|t| t.name == name) {
        for c in [Contender::TARGET, Contender::HPA] {
            let run = world::run(trace, &mut *c.scaler(trace));
            println!("{} {:?}", c.name(), run.changes.iter().map(|c| (c.at, c.from, c.to)).collect::<Vec<_>>());
        }
    }
}
