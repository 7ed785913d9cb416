"""What judges a prediction: a `Metric` in each file, made of pure functions of predictions and what is expected."""
