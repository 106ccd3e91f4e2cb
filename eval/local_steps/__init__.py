"""Does Python do from the predicted state what the prediction says next?"""
