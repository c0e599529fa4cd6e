#![allow(clippy::print_stdout)]
use fleet_sim::load::traces;
use fleet_sim::scaler::{Autoscaler, fixed::Fixed, hpa::Hpa, kpa::Kpa, oracle::Oracle};
use fleet_sim::world;
fn main() {
    let seed: u64 = std::env::args().nth(1).map_or(1, |s| s.parse().unwrap());
    for trace in traces(seed) {
        let scalers: Vec<(String, Box<dyn Autoscaler>)> = vec![
            ("peak".into(), Box::new(Fixed::at_peak_of(&trace))),
            ("oracle".into(), Box::new(Oracle::of(&trace))),
            ("hpa50".into(), Box::new(Hpa::new(50))),
            ("hpa60".into(), Box::new(Hpa::new(60))),
            ("hpa70".into(), Box::new(Hpa::new(70))),
            ("kpa120".into(), Box::new(Kpa::new(120))),
            ("kpa140".into(), Box::new(Kpa::new(140))),
            ("kpa160".into(), Box::new(Kpa::new(160))),
        ];
        for (name, mut scaler) in scalers {
            let began = std::time::Instant::now();
            let run = world::run(&trace, &mut *scaler);
            let s = run.score();
            println!("{:<10} {:<8} viol {:>3} hours {:>7.2} changes {:>4} req {} slow {} refused {} max {} t {:?}", trace.name, name, s.violated_minutes, s.instance_hours(), s.changes, s.requests, s.slow, s.refused, run.minutes.iter().map(|m| m.ready).max().unwrap(), began.elapsed());
        }
    }
}
