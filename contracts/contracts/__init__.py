"""What services say to each other: events, requests and answers, money and dates."""
