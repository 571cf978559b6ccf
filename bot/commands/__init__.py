"""What the command line may change, each as one function that works inside an ``Installation``."""
