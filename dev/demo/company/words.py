"""The short texts of deals and activities."""

from __future__ import annotations

PRODUCTS = ("Plan", "Field", "Insights", "Connect")
ROLES = ("Champion", "Economic buyer", "Technical evaluator", "User")
OFFERS = {
    "new": (
        "Plan",
        "Plan and Field",
        "Plan and Insights",
        "Plan, three sites",
        "Field for all crews",
        "Plan, Field and Connect",
    ),
    "expansion": (
        "Insights",
        "Field app",
        "Connect",
        "40 more seats",
        "second site",
        "night-shift crews",
    ),
}
# By reason, the kind of signal that was heard before; None where nothing was.
LOST_REASONS = {
    "Chose a competitor": "competitor",
    "Budget withdrawn": "budget_frozen",
    "Champion left": "champion_leaves",
    "Security or legal review": "review_blocked",
    "Project postponed": "timeline_slipped",
    "Price": "price_pushback",
    "No decision": None,
}
NEXT_STEPS = {
    "new-qualified": (
        "Book a discovery call with {who}",
        "Send {who} the two-page overview and ask for a date",
        "Find out with {who} who else decides",
    ),
    "new-discovery": (
        "Workshop with {who} on how crews are planned today",
        "Get sample schedules from {who}",
        "Agree with {who} on what a test must show",
    ),
    "new-evaluation": (
        "Go through the test results with {who}",
        "Reference call for {who} with a customer of the same size",
        "Answer the open points of {who}'s test list",
    ),
    "new-proposal": (
        "Walk {who} through the offer",
        "Send {who} the offer with the seats per site",
        "Agree with {who} on the date of the decision",
    ),
    "new-negotiation": (
        "Contract call with {who}",
        "Send {who} the final order form",
        "Get the purchase order number from {who}",
    ),
    "expansion-identified": (
        "Show {who} what the add-on would do with their data",
        "Ask {who} which team should begin",
    ),
    "expansion-scoping": (
        "Count seats and sites with {who}",
        "Set up a trial in {who}'s own workspace",
    ),
    "expansion-proposal": (
        "Go through the offer with {who}",
        "Send {who} the prices with and without the second site",
    ),
    "expansion-negotiation": (
        "Get the order signed by {who}",
        "Confirm the start date with {who}",
    ),
    "renewal-upcoming": (
        "Plan the yearly review with {who}",
        "Ask {who} for the seats of next year",
    ),
    "renewal-discussion": (
        "Yearly review with {who}",
        "Send {who} the usage numbers before the review",
    ),
    "renewal-quote": (
        "Get {who}'s signature on the renewal",
        "Confirm the number of seats with {who}",
    ),
}
SUBJECTS: dict[str, dict[str, tuple[str, ...]]] = {
    "email": {
        "early": (
            "Nice to meet you",
            "Short overview of {product}",
            "How you plan crews today",
            "Notes from our first call",
            "A customer story from {industry}",
        ),
        "middle": (
            "Test access for your team",
            "Questions on {product}",
            "Answers to your list",
            "Results of the second week",
            "Agenda for {account}",
        ),
        "late": (
            "Offer for {account}",
            "Order form",
            "Seats per site",
            "Dates for the kick-off",
            "Terms, second version",
        ),
        "customer": (
            "Your quarter with {product}",
            "Numbers for {who}",
            "A question on seats",
            "What is new in {product}",
        ),
        "renewal": (
            "Usage of the last twelve months",
            "Quote for the renewal",
            "Seats of next year",
            "Before our yearly review",
        ),
    },
    "call": {
        "early": ("First call", "Discovery call", "Who decides at {account}"),
        "middle": ("Check-in on the test", "Questions of the crew leads", "Integration call"),
        "late": ("Offer call", "Contract call", "Date of the signature"),
        "customer": ("Check-in", "Wishes for next quarter", "Call with {who}"),
        "renewal": ("Check-in before the renewal", "Call on the quote", "Seats of next year"),
    },
    "meeting": {
        "early": ("Discovery workshop", "Introduction to {product}"),
        "middle": ("Demo of {product}", "Technical session", "Test review"),
        "late": ("Offer review", "Contract session", "Plan of the kick-off"),
        "customer": ("Site visit", "Review of the quarter", "{product} with your own data"),
        "renewal": ("Yearly review", "Renewal of {account}"),
    },
    "note": {
        "early": ("Background on {account}", "Who is who"),
        "middle": ("What they test", "Open technical points"),
        "late": ("How they buy", "Approval path at {account}"),
        "customer": ("Who uses what", "Wishes of {account}"),
        "renewal": ("How last year went", "Who signs at {account}"),
    },
    "task": {
        "early": ("Send the overview", "Look up the sites of {account}"),
        "middle": ("Prepare the demo data", "Ask support about the import"),
        "late": ("Prepare the order form", "Ask for the purchase order"),
        "customer": ("Count the seats of {account}", "Ask for the site plan"),
        "renewal": ("Prepare the usage numbers", "Prepare the renewal quote"),
    },
}
BODIES = {
    "email": (
        "Hello {who}, as promised the material on {product}. Tell me what is missing.",
        "Hi {who}, thank you for your time. I noted three points and will come back to each.",
        "Hello {who}, can we move our call by half an hour? Otherwise all stays as planned.",
        "Hi {who}, attached is the version with the seats per site, as you asked.",
    ),
    "call": (
        "Spoke with {who}. Good questions on {product}; next call agreed.",
        "{who} explained how the sites plan today. Mostly spreadsheets.",
        "Short call with {who} about dates and people.",
    ),
    "meeting": (
        "Met {who} and two crew leads. They liked the map, and asked for the export.",
        "Showed {product} with their own data. {who} wants to go on.",
        "Went through the open points with {who}; two are left.",
    ),
    "note": (
        "{who} prefers short mails and calls before ten.",
        "Seven sites, two of them new. {who} knows all of them.",
        "Fiscal year ends in December; {who} collects the wishes before.",
    ),
    "task": ("For {who}, before the next call.", "Asked for by {who}."),
}
