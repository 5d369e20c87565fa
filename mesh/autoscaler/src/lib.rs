//! Runs as many instances of each service as its load needs.
//!
//! Every few seconds it asks Prometheus, decides as the horizontal pod autoscaler of Kubernetes
//! does ([`decide`]), and starts or drains pairs of application and sidecar by the supervisor's
//! API. The pairs are described in the supervisor's file from the start, switched off: starting one
//! is one call, and nothing is ever written while the mesh runs.
//!
//! What cannot be measured is left alone: without data there may be more instances, never fewer.

mod admin;
pub mod decide;
mod fleet;
mod measure;
mod metrics;
pub mod plan;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{
    decide::{Reading, Scaler},
    fleet::Fleet,
    plan::{Plan, Policy},
};

/// Services that instances are started or drained of right now.
type Busy = Arc<Mutex<BTreeSet<String>>>;

/// Scales until the process is ended.
///
/// # Errors
/// When the admin listener cannot be bound.
pub fn run(plan: &Path, admin: SocketAddr) -> Result<()> {
    admin::listen(admin)?;
    let (began, busy) = (Instant::now(), Busy::default());
    let mut scalers: BTreeMap<String, Scaler> = BTreeMap::new();
    let mut pause = Duration::from_secs(5);
    loop {
        match Plan::read(plan) {
            Ok(plan) => {
                pause = Duration::from_secs(plan.every_seconds.max(1));
                for policy in &plan.policies {
                    let scaler = scalers.entry(policy.identity.clone()).or_default();
                    if let Err(error) = look_after(&plan, policy, scaler, began.elapsed(), &busy) {
                        tracing::warn!(
                            service.name = policy.identity,
                            cause = format!("{error:#}"),
                            "service cannot be scaled now"
                        );
                    }
                }
            }
            Err(error) => tracing::warn!(cause = format!("{error:#}"), "there is no plan"),
        }
        std::thread::sleep(pause);
    }
}

/// One round for one service.
fn look_after(
    plan: &Plan,
    policy: &Policy,
    scaler: &mut Scaler,
    now: Duration,
    busy: &Busy,
) -> Result<()> {
    let fleet = Fleet::new(plan, policy);
    let running = fleet.running()?;
    let current = u32::try_from(running.len()).unwrap_or(u32::MAX);
    let readings: Vec<Reading> = policy
        .metrics
        .iter()
        .map(|metric| measure::read(plan, policy, metric, &running, now))
        .collect();
    metrics::replicas(&policy.identity, current);
    if is_busy(busy, &policy.identity) {
        return Ok(());
    }
    let decision = scaler.decide(&policy.rules(), now, current, &readings);
    metrics::decided(&policy.identity, &decision);
    if decision.desired == current || !plan.act {
        return Ok(());
    }
    tracing::info!(
        service.name = policy.identity,
        from = current,
        to = decision.desired,
        why = decision.why,
        "service is scaled"
    );
    set_busy(busy, &policy.identity, true);
    let (busy, name) = (Arc::clone(busy), policy.identity.clone());
    let fleet = fleet.into_owned();
    // On a thread: draining takes as long as requests do, and nobody else shall wait for it.
    std::thread::spawn(move || {
        if let Err(error) = fleet.scale(&running, decision.desired) {
            tracing::warn!(
                service.name = name,
                cause = format!("{error:#}"),
                "scaling failed"
            );
        }
        set_busy(&busy, &name, false);
    });
    Ok(())
}

fn is_busy(busy: &Busy, name: &str) -> bool {
    let names = busy.lock().unwrap_or_else(PoisonError::into_inner);
    names.contains(name)
}

fn set_busy(busy: &Busy, name: &str, is: bool) {
    let mut names = busy.lock().unwrap_or_else(PoisonError::into_inner);
    if is {
        names.insert(name.to_owned());
    } else {
        names.remove(name);
    }
}
