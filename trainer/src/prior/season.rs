//! What the local clock and the calendar say of one region's demand: the week's profile as its people live it, holidays, cron.

use super::{
    calendar::Calendar,
    clock::Clock,
    drift,
    random::Random,
    region::{Place, Service},
};

/// What the local clock and the calendar say.
pub(super) fn seasons(
    service: &Service,
    place: &Place,
    calendar: &Calendar,
    clock: &Clock,
    random: &mut Random,
) -> Vec<f32> {
    let mut log = vec![0.0; clock.steps];
    if !service.path.is_empty() {
        let shift = place.late as isize;
        let last = clock.steps.saturating_sub(1);
        for (step, value) in log.iter_mut().enumerate() {
            let at = step.saturating_add_signed(-shift).min(last);
            *value = service.path_size * service.path.get(at).copied().unwrap_or(0.0);
        }
        return log;
    }
    let varied;
    let profile = if place.difference > 0.0 {
        varied = service.profile.varied(place.difference, random);
        &varied
    } else {
        &service.profile
    };
    let phase = drift::phases(service.calm, clock, place.late, random);
    let amplitude = drift::amplitudes(service.calm, clock, random);
    let a_day = clock.steps_per_day();
    let day_off = profile.off.iter().rposition(|off| *off).unwrap_or(6);
    // Of a day: where its row begins, where a day off's begins, how much of the latter, and what is added.
    let days: Vec<(usize, f32, f32)> = (0..clock.days() + 2)
        .map(|day| {
            let row = clock.weekday(day) * a_day;
            let holiday = calendar.0.get(day).copied().unwrap_or_default();
            let free = holiday.weight * service.answer.like_day_off;
            let own = service.answer.log + service.answer.own * holiday.own;
            (row, free, holiday.weight * own)
        })
        .collect();
    let value_at = |week: &[f32], row: usize, within: f32| {
        let left = within as usize;
        let right = if left + 1 < a_day {
            row + left + 1
        } else {
            (row + a_day) % week.len().max(1)
        };
        let (left_value, right_value) = (
            week.get(row + left).copied().unwrap_or(0.0),
            week.get(right).copied().unwrap_or(0.0),
        );
        left_value + (within - left as f32) * (right_value - left_value)
    };
    let last_day = days.len().saturating_sub(1);
    for (step, value) in log.iter_mut().enumerate() {
        let moved = (clock.local(step) as f32 - phase.get(step).copied().unwrap_or(0.0)).max(0.0);
        let day = ((moved as usize) / a_day).min(last_day);
        let within = (moved - (day * a_day) as f32).clamp(0.0, a_day as f32 - 0.001);
        let (row, _, _) = days.get(day).copied().unwrap_or_default();
        let mut season = value_at(&profile.smooth, row, within);
        if let Some((later, middle, width)) = &service.later {
            let passed = 1.0 / (1.0 + (-(step as f32 - middle) / width).exp());
            season += passed * (value_at(&later.smooth, row, within) - season);
        }
        // Holidays begin at midnight by the clock on the wall, whatever the phase of the habits.
        let (_, free, holiday) = days
            .get(clock.local(step) / a_day)
            .copied()
            .unwrap_or_default();
        if free > 0.0 {
            season += free * (value_at(&profile.smooth, day_off * a_day, within) - season);
        }
        *value = amplitude.get(step).copied().unwrap_or(1.0) * season + holiday;
    }
    if !profile.sharp.is_empty() {
        let week = profile.sharp.len();
        for (step, value) in log.iter_mut().enumerate() {
            *value += profile
                .sharp
                .get((clock.first + step) % week)
                .copied()
                .unwrap_or(0.0);
        }
    }
    log
}
