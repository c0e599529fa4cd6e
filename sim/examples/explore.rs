#![allow(clippy::print_stdout)]
use fleet_sim::campaign::Campaign;
use fleet_sim::contender::Contender;
use fleet_sim::report;
fn main() {
    let seeds: Vec<u64> = std::env::args().skip(1).map(|s| s.parse().unwrap()).collect();
    let campaign = Campaign::run(&seeds, &Contender::FIELD);
    println!("{}", report::measured(&campaign));
    for (name, svg) in report::plot::plots(&campaign) { std::fs::write(format!("/tmp/fleet/sim-{name}"), svg).unwrap(); }
}
