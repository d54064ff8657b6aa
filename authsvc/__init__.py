"""The service: receives certificates, decides trust, asks directory assistance, applies the ACL, answers."""
