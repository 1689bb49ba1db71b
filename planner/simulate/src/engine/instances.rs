//! Instances come and go: by schedule, by controllers, by crashes.

use super::{
    Engine,
    agenda::Kind,
    parts::{InstanceState, Link},
};

impl Engine<'_> {
    pub(super) fn change_instances(&mut self, service: usize, step: usize) {
        let wanted = self.mesh.services[service].instances[step].instances;
        self.want(service, wanted);
    }

    /// Orders instances, or lets some end, until as many are ordered as wanted.
    pub(super) fn want(&mut self, service: usize, wanted: u32) {
        self.area(service);
        let (first, places) = (self.services[service].first, self.services[service].home);
        let wanted = wanted.min(places);
        let all = || first..first + places;
        for i in all() {
            if self.services[service].ordered >= wanted {
                break;
            }
            let instance = &mut self.instances[i as usize];
            match instance.state {
                // One that was about to end stays.
                InstanceState::Draining => {
                    instance.state = InstanceState::Ready;
                    self.services[service].ordered += 1;
                    self.services[service].ready += 1;
                    self.services[service].draining -= 1;
                    self.join(service, i - first);
                }
                InstanceState::Off => {
                    instance.state = InstanceState::Starting;
                    self.services[service].ordered += 1;
                    let at = self.now + self.services[service].startup_ns;
                    self.agenda.put(at, Kind::Ready, i, instance.generation, 0);
                }
                _ => {}
            }
        }
        // The last ordered end first, those that are not ready yet before all.
        for starting in [true, false] {
            for i in all().rev() {
                if self.services[service].ordered <= wanted {
                    return;
                }
                let state = self.instances[i as usize].state;
                if starting && matches!(state, InstanceState::Starting | InstanceState::Down) {
                    self.services[service].ordered -= 1;
                    self.part_from(service, i - first);
                    self.switch_off(i as usize);
                } else if !starting && state == InstanceState::Ready {
                    self.services[service].ordered -= 1;
                    self.services[service].ready -= 1;
                    self.part_from(service, i - first);
                    self.instances[i as usize].state = InstanceState::Draining;
                    self.services[service].draining += 1;
                    if self.instances[i as usize].inside == 0 {
                        self.end_instance(service, i as usize);
                    }
                }
            }
        }
    }

    fn join(&mut self, service: usize, host: u32) {
        let live = &mut self.services[service].live;
        if let Err(place) = live.binary_search(&host) {
            live.insert(place, host);
            self.regroup(service);
        }
    }

    fn part_from(&mut self, service: usize, host: u32) {
        self.services[service].live.retain(|other| *other != host);
        self.regroup(service);
    }

    /// An instance that is still down is taken off the endpoints.
    pub(super) fn unlist(&mut self, id: u32, generation: u32) {
        let instance = &self.instances[id as usize];
        let service = instance.service as usize;
        let part = &self.services[service];
        let noticed = if instance.restarts {
            part.crash_noticed_ns
        } else {
            part.unreachable_noticed_ns
        };
        let due = noticed.is_some_and(|noticed| instance.down_at + noticed == self.now);
        if instance.generation == generation && instance.state == InstanceState::Down && due {
            self.part_from(service, id - part.first);
        }
    }

    fn switch_off(&mut self, instance: usize) {
        let at = &mut self.instances[instance];
        at.state = InstanceState::Off;
        at.generation = at.generation.wrapping_add(1);
    }

    /// A draining instance has finished what it had.
    pub(super) fn end_instance(&mut self, service: usize, instance: usize) {
        self.area(service);
        self.services[service].draining -= 1;
        self.switch_off(instance);
    }

    /// An instance that was ordered takes requests from now on.
    pub(super) fn ready(&mut self, id: u32, generation: u32) {
        let instance = &self.instances[id as usize];
        if instance.generation != generation
            || !matches!(
                instance.state,
                InstanceState::Starting | InstanceState::Down
            )
        {
            return;
        }
        let service = instance.service as usize;
        self.area(service);
        let burst = self.services[service].burst;
        let instance = &mut self.instances[id as usize];
        let returns = instance.state == InstanceState::Down && !instance.restarts;
        instance.state = InstanceState::Ready;
        let host = id - self.services[service].first;
        self.services[service].ready += 1;
        self.join(service, host);
        self.greet();
        if returns {
            // It was out of reach and never stopped: it is as warm as before.
            return;
        }
        let instance = &mut self.instances[id as usize];
        instance.ready_at = Some(self.now);
        instance.tokens = burst;
        instance.tokens_at = self.now;
        self.forget_links(service, host);
    }

    /// A new instance at an old place: nobody knows anything of it. Counts of requests in flight belong to calls and stay.
    fn forget_links(&mut self, service: usize, host: u32) {
        for edge in 0..self.edges.len() {
            if self.edges[edge].callee != service {
                continue;
            }
            let proxies = match self.mesh.edges[edge].caller {
                Some(caller) => self.services[caller].places,
                None => self.mesh.edges[edge].gateway_proxies.max(1),
            };
            for proxy in 0..proxies {
                let link = self.link_index(edge as u32, proxy, host);
                let at = self.proxy_index(edge as u32, proxy);
                let old = self.links[link];
                self.proxies[at].connections -= old.idle;
                self.clear_record(edge as u32, proxy, host);
                self.links[link] = Link {
                    active: old.active,
                    connections: old.connections - old.idle,
                    waiting: old.waiting,
                    ..Link::default()
                };
            }
        }
    }
}
